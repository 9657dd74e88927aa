/**
 * @file A contest that looks like a real one, as events: for tests and for looking at the page.
 * Every number follows from the seed; the paired statistics are computed from drawn deltas, not made up.
 */
import { Rng, sha256Hex } from '@quasar/base';

export interface SampleEvent {
  type: string;
  data: Record<string, unknown>;
}

interface Entrant {
  id: string;
  uid: number;
  hotkey: string;
  repo: string;
  revision: string;
  revealedAtBlock: number;
  /** How much closer to the teacher than the base student, in nats per token. */
  skill: number;
  /** Taken off every axis. */
  flaw: number;
}

type EntrantArgs = [uid: number, repo: string, skill: number, flaw?: number];

const AXES = [
  ...['on_policy_rkl', 'kl', 'capability', 'length', 'degeneracy', 'judge_probe', 'chat_turns_probe'],
  ...['math_bench', 'code_bench', 'reasoning_bench', 'ifeval_bench', 'tool_use', 'long_context', 'robustness'],
];
const BASE = { id: 'base', uid: -1, repo: 'base', revision: sha256Hex('base').slice(0, 40), skill: 0, flaw: 0 };
const PROMPTS = 150;
const COPY_CODE = 'copy.same_tensors';
const BLOCKS_PER_ROUND = 30;

const hotkeyOf = (uid: number) => `5${sha256Hex(`hotkey ${uid}`).slice(0, 47)}`;

/** Draws the events of rounds one by one. */
export class SampleContest {
  readonly #rng: Rng;
  #round = 0;
  #reign = 0;
  king: Pick<Entrant, 'id' | 'uid' | 'repo' | 'revision' | 'skill' | 'flaw'> = BASE;
  atBlock = 1200;

  constructor(seed = 'sample contest') {
    this.#rng = new Rng(seed);
  }

  entrant(uid: number, repo: string, skill: number, flaw = 0): Entrant {
    const revision = sha256Hex(`${repo} ${this.atBlock}`).slice(0, 40);
    const hotkey = hotkeyOf(uid);
    return { id: `${hotkey}:${this.atBlock}`, uid, hotkey, repo, revision, revealedAtBlock: this.atBlock, skill, flaw };
  }

  seen(one: Entrant): SampleEvent {
    const { skill: _, flaw: __, ...data } = one;
    return this.#event('submission.seen', data);
  }

  startRound(entrants: Entrant[]): SampleEvent {
    this.#round++;
    this.atBlock += 4;
    return this.#event('round.started', {
      startBlock: this.atBlock,
      cutoffBlock: this.atBlock - 1,
      seedBlock: this.atBlock + 1,
      seedHash: `0x${sha256Hex(`block ${this.atBlock + 1}`)}`,
      activationBlock: this.atBlock + BLOCKS_PER_ROUND,
      candidates: entrants.map((one) => one.id),
      waiting: [],
      incumbent: this.king.id,
      configHash: sha256Hex('config'),
    });
  }

  rejected(one: Entrant, status: string, issues: unknown[], original?: Entrant): SampleEvent {
    const { id, uid, repo, revision } = one;
    return this.#event('submission.rejected', { id, uid, repo, revision, status, issues, original });
  }

  failed(one: Entrant, attempt: number, final: boolean): SampleEvent {
    const error = {
      code: 'infer.cancelled',
      message: 'The evaluation worker ended with signal SIGKILL after 4.2 GB of memory.',
      hint: 'It was tried on another worker as well. Check the size of the checkpoint and commit again.',
    };
    return this.#event('evaluation.failed', { id: one.id, uid: one.uid, error, attempt, final });
  }

  /** Progress and verdict of one duel; `until` < 1 leaves it running. */
  duel(one: Entrant, until = 1): SampleEvent[] {
    const { id, uid, repo, revision } = one;
    const events: SampleEvent[] = [];
    const deltas: number[] = [];
    const kingKl: number[] = [];
    for (let i = 0; i < Math.round(PROMPTS * until); i++) {
      const king = 0.62 - this.king.skill + 0.08 * this.#rng.normal();
      deltas.push(one.skill - this.king.skill + 0.055 * this.#rng.normal());
      kingKl.push(king);
      if (i % 6 !== 5) continue;
      const numbers = { meanDelta: mean(deltas), kingKl: mean(kingKl), challengerKl: mean(kingKl) - mean(deltas) };
      const progress = { id, uid, repo, phase: 'kl', done: i + 1, total: PROMPTS, ...numbers };
      events.push(this.#event('evaluation.progress', progress));
    }
    if (until < 1) return events;
    const n = deltas.length;
    const meanDelta = mean(deltas);
    const se = Math.sqrt(deltas.reduce((sum, d) => sum + (d - meanDelta) ** 2, 0) / (n - 1) / n);
    const t = meanDelta / se;
    const p = upperTail(t);
    const lcb = meanDelta - 1.96 * se;
    const win = p < 0.03 && lcb > 0;
    const own = this.#scores(one, revision);
    const king = { uid: this.king.uid, repo: this.king.repo, revision: this.king.revision };
    const kings = this.#scores(this.king, king.revision);
    const passed = own.quality >= kings.quality * 0.97;
    const reasons = passed
      ? []
      : [`Quality ${own.quality.toFixed(3)} is below 97 % of the king's ${kings.quality.toFixed(3)}.`];
    this.atBlock += 3;
    const verdict = { n, meanDelta, se, t, p, lcb, kingKl: mean(kingKl), challengerKl: mean(kingKl) - meanDelta, win };
    const bootstrap = { low: lcb, high: meanDelta + 1.96 * se, resamples: 1000, seed: 'sample' };
    const crownGate = { quality: own.quality, kingQuality: kings.quality, passed, reasons };
    const kl = { mean: verdict.challengerKl, perPrompt: deltas };
    events.push(this.#event('evaluation.scored', { id: this.king.id, ...king, kl, ...kings }));
    events.push(this.#event('evaluation.scored', { id, uid, repo, revision, kl, ...own }));
    const sequential = { reason: 'last_look', prompts: n, logEvidence: 0, winProbability: win ? 1 : 0 };
    const pareto = { wins: ['math_bench'], losses: ['code_bench'], ties: ['capability'], dominates: false };
    const shown = { bootstrap, sequential, crownGate, pareto };
    events.push(this.#event('duel.judged', { id, uid, repo, revision, king, ...verdict, ...shown }));
    return events;
  }

  crown(one: Entrant): SampleEvent[] {
    const previous =
      this.king.uid < 0 ? null : { uid: this.king.uid, repo: this.king.repo, revision: this.king.revision };
    this.king = one;
    this.#reign++;
    this.atBlock += 2;
    const { id, uid, hotkey, repo, revision } = one;
    const crown = {
      id,
      source: 'duel',
      uid,
      hotkey,
      repo,
      revision,
      crownedAtBlock: this.atBlock,
      reign: this.#reign,
      previous,
    };
    const weights = [
      { uid, weight: 0.9 },
      { uid: 0, weight: 0.1 },
    ];
    return [this.#event('king.crowned', crown), this.#event('weights.set', { weights, setAtBlock: this.atBlock + 1 })];
  }

  finishRound(outcome: string): SampleEvent {
    this.atBlock += BLOCKS_PER_ROUND - 10;
    return this.#event('round.finished', {
      king: { uid: this.king.uid, repo: this.king.repo, revision: this.king.revision },
      outcome,
    });
  }

  #scores(one: { skill: number; flaw: number }, revision: string) {
    const rng = new Rng(`scores ${revision}`);
    const axes: Record<string, { value: number; n: number; broken: boolean }> = {};
    for (const name of AXES) {
      const value = Math.min(1, Math.max(0.02, 0.34 + 3.2 * one.skill - one.flaw + 0.07 * rng.normal()));
      axes[name] = { value, n: rng.int(8, 24), broken: name === 'tool_use' };
    }
    const counted = Object.entries(axes).filter(([, axis]) => !axis.broken);
    const absolute = counted.filter(([name]) => name !== 'kl' && name !== 'on_policy_rkl');
    const valuesOf = (list: typeof counted) => list.map(([, axis]) => axis.value);
    return {
      axes,
      weighted: mean(valuesOf(counted)),
      worst: Math.min(...valuesOf(counted)),
      worstAxis: null,
      quality: mean(valuesOf(absolute)),
    };
  }

  #event(type: string, data: Record<string, unknown>): SampleEvent {
    return { type, data: { round: this.#round, atBlock: this.atBlock, ...data } };
  }
}

/** Six rounds: three crowns, a lost duel in each, one refusal of every kind, and a duel that is still running. */
export function sampleEvents(): SampleEvent[] {
  const contest = new SampleContest();
  const events: SampleEvent[] = [];
  const field: [winner: EntrantArgs | null, losers: EntrantArgs[]][] = [
    [[7, 'northstar/quasar-tiny-a', 0.03], [[11, 'opal-labs/first-light', -0.004]]],
    [
      null,
      [
        [4, 'kepler/distil-v2', 0.026],
        [19, 'saturn/ember', 0.012],
      ],
    ],
    [[11, 'opal-labs/second-light', 0.061], [[4, 'kepler/distil-v3', 0.058, 0.25]]],
    [
      null,
      [
        [23, 'redshift/long-context-student', 0.058],
        [7, 'northstar/quasar-tiny-b', 0.04],
      ],
    ],
    [[4, 'kepler/distil-v4', 0.104], [[31, 'perihelion/quasar-nano', 0.066]]],
  ];
  let firstKing: Entrant | null = null;
  for (const [winner, losers] of field) {
    const challengers = losers.map((args) => contest.entrant(...args));
    const champion = winner && contest.entrant(...winner);
    const all = champion ? [...challengers, champion] : challengers;
    events.push(...all.map((one) => contest.seen(one)), contest.startRound(all));
    for (const one of all) events.push(...contest.duel(one));
    if (champion) events.push(...contest.crown(champion));
    firstKing ??= champion;
    events.push(contest.finishRound(champion ? 'crowned' : 'king_stays'));
  }
  const copy = contest.entrant(42, 'mirror/totally-mine', 0.1);
  const invalid = contest.entrant(50, 'haste/wrong-shape', 0);
  const removed = contest.entrant(51, 'ghost/gone', 0);
  const broken = contest.entrant(36, 'heavy/checkpoint', 0);
  const running = contest.entrant(23, 'redshift/longer-context-student', 0.118);
  const waiting = contest.entrant(61, 'aphelion/quasar-slow-burn', 0.09);
  const all = [copy, invalid, removed, broken, running, waiting];
  events.push(...all.map((one) => contest.seen(one)), contest.startRound([broken, running, waiting]));
  const copyIssue = {
    code: COPY_CODE,
    path: 'model.safetensors',
    message: 'Every tensor equals the submission of uid 7, which the chain revealed earlier.',
    hint: 'Train a model of your own and commit its revision with a new hotkey.',
  };
  const shapeIssues = [
    {
      code: 'precheck.tensor_shape',
      path: 'model.safetensors#layers.3.mlp.up.weight',
      message: 'Shape is [512, 1408], the config asks for [512, 1536].',
      hint: 'Export again with the d_ff of config.json, or correct config.json.',
    },
    {
      code: 'precheck.missing_tensor',
      path: 'model.safetensors#model.norm.weight',
      message: 'The tensor is not in the file.',
      hint: 'Run `quasar check <directory>` before you submit: it runs the same checks.',
    },
  ];
  const gone = {
    code: 'precheck.revision_missing',
    message: 'The revision can no longer be listed on the hub.',
    hint: 'Keep the repository public for as long as it competes.',
  };
  events.push(
    contest.rejected(copy, 'COPY', [copyIssue], firstKing ?? undefined),
    contest.rejected(invalid, 'INVALID', shapeIssues),
    contest.rejected(removed, 'REMOVED', [gone]),
    contest.failed(broken, 1, false),
    contest.failed(broken, 2, true),
    ...contest.duel(running, 0.64),
  );
  return events;
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** 1 - Phi(t); Abramowitz and Stegun 26.2.17, error below 1e-7. */
function upperTail(t: number): number {
  if (t < 0) return 1 - upperTail(-t);
  const k = 1 / (1 + 0.2316419 * t);
  const poly = k * (0.31938153 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))));
  return (Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI)) * poly;
}
