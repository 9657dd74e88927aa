/**
 * @file The contest log folded into what the dashboard shows: one handler per event type.
 *
 * A pure projection: the same events in the same order give the same state, whoever reads them and whenever.
 * Lists are bounded so that a log of any length fits in memory. Left out: the clock, the chain, the wire format
 * of the answer (`dashboard.ts` adds these).
 */
import type { StoredEvent } from '@quasar/store';
import type { Composite, CurrentEval, Duel, FeedItem, King, Note, Round, Submission, Weights } from '../wire.ts';
import { EVENT_SCHEMAS, type EventData, type EventType } from './events.ts';
import { feedLine } from './feed.ts';

export const LIMITS = { duels: 100, submissions: 300, feed: 150, rounds: 50, reigns: 50, composites: 500, trace: 160 };

type DuelResult = Omit<Duel, 'composite' | 'king_composite'>;
type StampedComposite = Composite & { seq: number; model: string };
type Stamp = { seq: number; atMs: number };

const modelName = (repo: string, revision: string) => `${repo}@${revision}`;

/** Keep the newest `limit` items of a list that grows at its end. */
function push<T>(list: T[], item: T, limit: number): void {
  list.push(item);
  if (list.length > limit) list.splice(0, list.length - limit);
}

export class ContestLog {
  seq = 0;
  lastEventMs: number | null = null;
  /** Events of a known type whose data did not parse. */
  unreadable = 0;
  readonly reigns: King[] = [];
  readonly duels: DuelResult[] = [];
  readonly rounds: Round[] = [];
  readonly feed: FeedItem[] = [];
  readonly submissions = new Map<string, Submission>();
  weights: Omit<Weights, 'targets'> & { targets: { uid: number; weight: number }[] } = {
    set_at_block: 0,
    set_ms: 0,
    targets: [],
  };
  currentEval: (CurrentEval & { id: string }) | null = null;
  readonly #composites: StampedComposite[] = [];

  get king(): King | null {
    return this.reigns.at(-1) ?? null;
  }

  /** The scores of a model measured nearest to event `seq`. */
  compositeOf(repo: string, revision: string, seq: number): Composite | null {
    const model = modelName(repo, revision);
    let best: StampedComposite | null = null;
    for (const one of this.#composites) {
      if (one.model !== model) continue;
      if (!best || Math.abs(one.seq - seq) < Math.abs(best.seq - seq)) best = one;
    }
    return best && { axes: best.axes, weighted: best.weighted, worst: best.worst, quality: best.quality };
  }

  apply(event: StoredEvent): void {
    this.seq = event.seq;
    this.lastEventMs = event.atMs;
    const type = event.type as EventType;
    if (!Object.hasOwn(EVENT_SCHEMAS, type)) return;
    const parsed = EVENT_SCHEMAS[type].safeParse(event.data);
    if (!parsed.success) {
      this.unreadable++;
      return;
    }
    this.#handle(type, parsed.data as EventData<typeof type>, event);
  }

  #handle<T extends EventType>(type: T, data: EventData<T>, stamp: Stamp): void {
    this.#handlers[type](data, stamp);
    if (type !== 'evaluation.progress')
      push(this.feed, { seq: stamp.seq, at_ms: stamp.atMs, type, ...feedLine(type, data) }, LIMITS.feed);
  }

  readonly #handlers: { [T in EventType]: (data: EventData<T>, stamp: Stamp) => void } = {
    'round.started': (d, { atMs }) => {
      const round: Round = {
        round: d.round,
        start_block: d.startBlock,
        cutoff_block: d.cutoffBlock ?? null,
        seed_block: d.seedBlock ?? null,
        seed_hash: d.seedHash ?? null,
        activation_block: d.activationBlock ?? null,
        candidates: d.candidates.length,
        started_ms: atMs,
        finished_ms: null,
        outcome: null,
      };
      push(this.rounds, round, LIMITS.rounds);
    },
    'submission.seen': (d) => {
      if (this.submissions.has(d.id)) return;
      this.submissions.set(d.id, {
        id: d.id,
        uid: d.uid,
        hotkey: d.hotkey,
        hf_repo: d.repo,
        revision: d.revision,
        block: d.revealedAtBlock,
        status: 'pending',
        notes: [],
        original: null,
        round: d.round ?? null,
      });
      if (this.submissions.size > LIMITS.submissions) this.#forgetOldestSubmission();
    },
    'submission.rejected': (d) => {
      this.#endEvaluation(d.id);
      this.#update(d.id, {
        status: d.status,
        notes: d.issues.map(toNote),
        original: d.original
          ? {
              uid: d.original.uid,
              hf_repo: d.original.repo,
              revision: d.original.revision,
              block: d.original.revealedAtBlock ?? null,
            }
          : null,
      });
    },
    'evaluation.progress': (d, { atMs }) => {
      const before = this.currentEval?.id === d.id ? this.currentEval : null;
      this.currentEval = {
        id: d.id,
        uid: d.uid,
        challenger_repo: d.repo,
        revision: this.submissions.get(d.id)?.revision ?? null,
        hotkey: this.submissions.get(d.id)?.hotkey ?? null,
        phase: d.phase,
        phase_label: d.phase.replaceAll(/[._-]+/g, ' ').replaceAll(/\bkl\b/gi, 'KL'),
        progress: d.done,
        total: d.total,
        mu_hat: d.meanDelta ?? before?.mu_hat ?? null,
        avg_king_loss: d.kingKl ?? before?.avg_king_loss ?? null,
        avg_challenger_loss: d.challengerKl ?? before?.avg_challenger_loss ?? null,
        trace: extendTrace(before?.trace ?? [], d.done, d.meanDelta ?? null),
        started_ms: before?.started_ms ?? atMs,
        updated_ms: atMs,
      };
    },
    'evaluation.scored': (d, { seq }) => {
      const axes = Object.fromEntries(
        Object.entries(d.axes).map(([name, axis]) => [name, { ...axis, value: axis.value ?? null }]),
      );
      const scores = { axes, weighted: d.weighted ?? null, worst: d.worst ?? null, quality: d.quality ?? null };
      push(this.#composites, { ...scores, seq, model: modelName(d.repo, d.revision) }, LIMITS.composites);
    },
    'duel.judged': (d, { seq, atMs }) => {
      this.#endEvaluation(d.id);
      const gatePassed = d.crownGate?.passed ?? null;
      const accepted = d.win && gatePassed !== false;
      const reasons = d.crownGate?.reasons ?? [];
      const duel: DuelResult = {
        seq,
        timestamp_ms: atMs,
        round: d.round ?? null,
        uid: d.uid,
        challenger_repo: d.repo,
        revision: d.revision,
        king: { uid: d.king.uid, hf_repo: d.king.repo, revision: d.king.revision },
        accepted,
        verdict: accepted ? 'win' : d.win ? 'gate_failed' : 'no_win',
        paired_prompts: d.n,
        mu_hat: d.meanDelta,
        se: d.se,
        t_stat: d.t ?? null,
        p_value: d.p,
        lcb: d.lcb,
        avg_king_loss: d.kingKl,
        avg_challenger_loss: d.challengerKl,
        crown_quality: d.crownGate?.quality ?? null,
        crown_king_quality: d.crownGate?.kingQuality ?? null,
        crown_passed: gatePassed,
        crown_reasons: reasons,
      };
      push(this.duels, duel, LIMITS.duels);
      // A winner stays pending until the crown: of several winners in a round only one is crowned.
      if (!accepted) this.#update(d.id, { status: 'lost', notes: lossNotes(duel) });
    },
    'king.crowned': (d, { atMs }) => {
      for (const one of this.submissions.values()) if (one.status === 'king') one.status = 'dethroned';
      for (const one of this.submissions.values())
        if (one.uid === d.uid && one.hf_repo === d.repo && one.revision === d.revision && one.status === 'pending')
          one.status = 'king';
      const king: King = {
        uid: d.uid,
        hotkey: d.hotkey,
        hf_repo: d.repo,
        king_revision: d.revision,
        reign_number: d.reign,
        crowned_at_block: d.crownedAtBlock,
        crowned_ms: atMs,
        previous: d.previous
          ? { uid: d.previous.uid, hf_repo: d.previous.repo, king_revision: d.previous.revision }
          : null,
      };
      push(this.reigns, king, LIMITS.reigns);
    },
    'weights.set': (d, { atMs }) => {
      this.weights = { set_at_block: d.setAtBlock, set_ms: atMs, targets: d.weights };
    },
    'round.finished': (d, { atMs }) => {
      this.currentEval = null;
      const round = this.rounds.findLast((one) => one.round === d.round);
      if (round) {
        round.finished_ms = atMs;
        round.outcome = typeof d.outcome === 'string' ? d.outcome : null;
      }
    },
    'evaluation.failed': (d) => {
      this.#endEvaluation(d.id);
      const notes = [toNote(d.error)];
      this.#update(d.id, d.final ? { status: 'EVAL_ERROR', notes } : { notes });
    },
  };

  #update(id: string, change: Partial<Submission>): void {
    const submission = this.submissions.get(id);
    if (submission) Object.assign(submission, change);
  }

  #endEvaluation(id: string): void {
    if (this.currentEval?.id === id) this.currentEval = null;
  }

  /** The king's own row stays, however old it is. */
  #forgetOldestSubmission(): void {
    for (const [id, one] of this.submissions)
      if (one.status !== 'king') {
        this.submissions.delete(id);
        return;
      }
  }
}

function toNote(issue: { code: string; path?: string | undefined; message: string; hint?: string | undefined }): Note {
  return { code: issue.code, path: issue.path ?? null, message: issue.message, hint: issue.hint ?? null };
}

function lossNotes(duel: DuelResult): Note[] {
  if (duel.verdict === 'gate_failed')
    return duel.crown_reasons.map((message) => ({ code: 'duel.crown_gate', path: null, message, hint: null }));
  const message = `Mean delta ${duel.mu_hat.toFixed(5)} with lower bound ${duel.lcb.toFixed(5)} over ${duel.paired_prompts} prompts (p ${duel.p_value.toFixed(4)}): not proven closer to the teacher than uid ${duel.king.uid}.`;
  return [{ code: 'duel.no_win', path: null, message, hint: 'A win needs p < 0.03 and a lower bound above zero.' }];
}

/** Appends a point; restarts when progress goes back (a new phase); halves the resolution when it grows too long. */
function extendTrace(trace: [number, number][], done: number, meanDelta: number | null): [number, number][] {
  if (meanDelta === null) return trace;
  const last = trace.at(-1);
  const kept: [number, number][] = last && done < last[0] ? [] : trace;
  const next: [number, number][] = [...kept, [done, meanDelta]];
  return next.length <= LIMITS.trace ? next : next.filter((_, index) => index % 2 === 1);
}
