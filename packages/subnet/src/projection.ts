/**
 * @file The contest log folded into the state of the contest: who is king, what happened to each submission, what a
 * round has already paid for.
 *
 * The validator decides from this state alone, and dashboards and reports show it. The same events in the same order
 * give the same state, whether applied one by one or after a restart. Unknown event types are ignored.
 */
import type { Issue } from '@quasar/base';
import type { StoredEvent } from '@quasar/store';
import type {
  ContestEvents,
  ContestEventType,
  DuelJudged,
  EvaluationFailed,
  EvaluationMeasured,
  EvaluationProgress,
  EvaluationScored,
  KingCrowned,
  KingRevalidated,
  RoundOutcome,
  RoundStarted,
  SubmissionContent,
  ValidatorStarted,
  WeightsSet,
} from './events.ts';
import type { PastEvaluation } from './rules/candidates.ts';
import type { Entrant, Submission, SubmissionStatus } from './rules/submission.ts';

export interface SubmissionState extends Submission {
  revealedAtBlock: number;
  manifestSha256: string | undefined;
  status: SubmissionStatus;
  issues: Issue[];
  original: (Entrant & { revealedAtBlock: number | null }) | null;
  content: SubmissionContent | null;
  /** Tries that ended in an error of the evaluation itself. */
  failures: number;
  /** Rounds in a row in which its files could not be read. */
  failedVisits: number;
}

export type MeasuredKl = Extract<EvaluationMeasured, { part: 'kl' }>;
export type MeasuredAxes = Extract<EvaluationMeasured, { part: 'axes' }>;

export interface RoundState extends RoundStarted {
  startedAtMs: number;
  finishedAtMs: number | null;
  outcome: RoundOutcome | null;
  verdict: { crowned: string | null; deferred: string[] } | null;
  /** Of a round without challengers. */
  revalidated: KingRevalidated | null;
  scored: Map<string, EvaluationScored>;
  duels: Map<string, DuelJudged>;
  /** Parts by id of the model. Dropped when the round is finished. */
  kl: Map<string, MeasuredKl>;
  axes: Map<string, MeasuredAxes>;
  /** Failures of this round by id. */
  failed: Map<string, EvaluationFailed[]>;
}

export class Contest {
  lastSeq = 0;
  /** The newest process on this log. */
  started: (ValidatorStarted & { atMs: number }) | null = null;
  readonly submissions = new Map<string, SubmissionState>();
  readonly rounds = new Map<number, RoundState>();
  /** Newest last. */
  readonly reigns: KingCrowned[] = [];
  /** Null after a king was removed. */
  king: KingCrowned | null = null;
  /** How the king did when it was last measured without challengers; null until then. */
  revalidated: KingRevalidated | null = null;
  weights: WeightsSet | null = null;
  current: EvaluationProgress | null = null;
  readonly evaluations: PastEvaluation[] = [];

  /** Apply an event; one that was applied before changes nothing. */
  apply(event: StoredEvent): void {
    if (event.seq <= this.lastSeq) return;
    this.lastSeq = event.seq;
    if (Object.hasOwn(this.#handlers, event.type)) {
      const handler = this.#handlers[event.type as ContestEventType] as (data: unknown, atMs: number) => void;
      handler(event.data, event.atMs);
    }
  }

  /** The round that was started and not finished, if any. */
  get openRound(): RoundState | null {
    const last = [...this.rounds.values()].at(-1);
    return last && last.finishedAtMs === null ? last : null;
  }

  get lastRound(): number | null {
    return [...this.rounds.keys()].at(-1) ?? null;
  }

  /** Ids with a final verdict. */
  decided(): Set<string> {
    return new Set([...this.submissions.values()].filter((one) => !isOpen(one)).map(({ id }) => id));
  }

  readonly #handlers: { [T in ContestEventType]: (data: ContestEvents[T], atMs: number) => void } = {
    'validator.started': (data, atMs) => {
      this.started = { ...data, atMs };
    },
    'round.started': (data, atMs) => {
      const empty = { scored: new Map(), duels: new Map(), kl: new Map(), axes: new Map(), failed: new Map() };
      const open = { startedAtMs: atMs, finishedAtMs: null, outcome: null, verdict: null, revalidated: null };
      this.rounds.set(data.round, { ...data, ...open, ...empty });
    },
    'submission.seen': (data) => {
      const { id, uid, hotkey, repo, revision, revealedAtBlock, manifestSha256 } = data;
      const fresh = { issues: [], original: null, content: null, failures: 0, failedVisits: 0 };
      this.submissions.set(id, {
        ...{ id, uid, hotkey, repo, revision, revealedAtBlock, manifestSha256 },
        ...{ status: 'pending', ...fresh },
      });
    },
    'submission.rejected': ({ id, status, issues, original }) => {
      this.#update(id, { status, issues, original: original ?? null });
      if (this.king?.id === id) this.#depose();
    },
    'submission.stale': ({ id, issues }) => this.#update(id, { status: 'stale', issues }),
    'submission.content': (data) => {
      this.#update(data.id, { content: data });
      this.#freshen(data.id);
    },
    'evaluation.progress': (data) => {
      this.current = data;
    },
    'evaluation.measured': (data) => {
      const round = this.rounds.get(data.round);
      if (data.part === 'kl') round?.kl.set(data.id, data);
      else round?.axes.set(data.id, data);
      this.#freshen(data.id);
    },
    'evaluation.scored': (data) => {
      const round = this.rounds.get(data.round);
      round?.scored.set(data.id, data);
      const submission = this.submissions.get(data.id);
      if (submission && round?.candidates.includes(data.id))
        this.evaluations.push({ hotkey: submission.hotkey, repo: submission.repo, atBlock: round.startBlock });
    },
    'evaluation.failed': (data) => {
      const round = this.rounds.get(data.round);
      round?.failed.set(data.id, [...(round.failed.get(data.id) ?? []), data]);
      const submission = this.submissions.get(data.id);
      if (!submission) return;
      const { code, message, hint } = data.error;
      const issue: Issue = hint === undefined ? { code, message } : { code, message, hint };
      submission.issues = [issue];
      submission.failures++;
      if (data.unread) submission.failedVisits++;
      if (data.final) submission.status = 'EVAL_ERROR';
    },
    'duel.judged': (data) => {
      const round = this.rounds.get(data.round);
      round?.duels.set(data.id, data);
      const submission = this.submissions.get(data.id);
      // A winner stays pending: of several in a round one is crowned, and those tied with it come again.
      if (submission && isOpen(submission) && !(data.win && data.crownGate.passed)) {
        submission.status = 'lost';
        submission.issues = lossIssues(data);
      }
    },
    'round.judged': ({ round, crowned, deferred }) => {
      const state = this.rounds.get(round);
      if (state) state.verdict = { crowned, deferred };
    },
    'king.crowned': (data) => {
      if (this.king) this.#update(this.king.id, { status: 'dethroned' });
      this.#update(data.id, { status: 'king', issues: [] });
      this.#depose();
      this.king = data;
      this.reigns.push(data);
    },
    'king.revalidated': (data) => {
      this.revalidated = data;
      const round = this.rounds.get(data.round);
      if (round) round.revalidated = data;
    },
    'weights.set': (data) => {
      this.weights = data;
    },
    'round.finished': ({ round, outcome }, atMs) => {
      this.current = null;
      const state = this.rounds.get(round);
      if (!state) return;
      state.finishedAtMs = atMs;
      state.outcome = outcome;
      state.kl.clear();
      state.axes.clear();
    },
  };

  /** It was read. */
  #freshen(id: string): void {
    const submission = this.submissions.get(id);
    if (!submission || submission.failedVisits === 0) return;
    submission.failedVisits = 0;
    if (submission.status === 'stale') this.#update(id, { status: 'pending', issues: [] });
  }

  #depose(): void {
    this.king = null;
    this.revalidated = null;
  }

  #update(id: string, change: Partial<SubmissionState>): void {
    const submission = this.submissions.get(id);
    if (submission) Object.assign(submission, change);
  }
}

/** Still to be judged. */
export function isOpen({ status }: { status: SubmissionStatus }): boolean {
  return status === 'pending' || status === 'stale';
}

/** Fold a whole log. */
export function rebuildContest(events: Iterable<StoredEvent>): Contest {
  const contest = new Contest();
  for (const event of events) contest.apply(event);
  return contest;
}

function lossIssues({ win, crownGate, meanDelta, lcb, p, n, king, sequential }: DuelJudged): Issue[] {
  if (win) return crownGate.reasons.map((message) => ({ code: 'duel.crown_gate', message }));
  // Logs of older rules know no early end.
  const over =
    sequential?.reason === 'futility' ? `${n} of ${sequential.prompts} prompts, then beyond winning` : `${n} prompts`;
  return [
    {
      code: 'duel.not_better',
      message: `mean delta ${meanDelta.toFixed(5)} nats, lower bound ${lcb.toFixed(5)}, p ${p.toFixed(4)} over ${over}: not proven closer to the teacher than uid ${king.uid}`,
      hint: 'A win needs a lower bound above the margin of the rules. `quasar duel preview` shows where a new revision stands.',
    },
  ];
}
