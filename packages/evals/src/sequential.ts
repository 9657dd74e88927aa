/**
 * @file Early stopping of a duel: looks at fixed prompt counts, a win that no amount of looking makes more likely by luck, and
 * an end of duels that cannot be won any more.
 *
 * **Win.** With x_i = delta_i - minDelta, prompts in order, the evidence is the product over prompts of
 *
 *     exp(l_i x_i - l_i^2 x_i^2 / 2)        l_i >= 0, known before prompt i
 *
 * Where x_i is symmetric about zero or about anything below, given the prompts before it, each factor is at most 1 in
 * expectation: ½(e^(y - y²/2) + e^(-y - y²/2)) = e^(-y²/2) cosh y <= 1 (de la Peña 1999, Annals of Probability 27:537; "symmetric" in
 * Howard et al. 2020, Probability Surveys 17:257), whatever the tails. So the product is a non-negative supermartingale, and
 * by Ville's inequality (1939) it ever reaches 1 / alpha with probability at most alpha, however often one looks and whenever
 * one stops. No moment has to exist. Where x_i is not symmetric but has mean <= 0 and a finite third moment, a factor is at most
 * 1 - l³ E[x³] / 3 + O(l⁴); l falls as 1 / sqrt(n), so the level is reached as duels grow longer, from above where long tails
 * point against the challenger (E[x³] < 0): `node bench/duel.js` measures it. l_i is the best fixed one for the expected length
 * of a duel, from the mean square of the batches before; the first batch only sets this scale.
 *
 * **Last look.** The paired test as it stands (paired.ts). A challenger that is no better is crowned with probability at most
 * (level of the paired test) + `win.alpha`: 0.025 + 0.005 with the published numbers, by the union bound.
 *
 * **Futility.** The predictive probability of winning at the last look (Spiegelhalter, Freedman and Blackburn 1986, Controlled
 * Clinical Trials 7:8): after n of N prompts with t = (mean - minDelta) / SE, and nothing known about the true mean before,
 *
 *     P(win at N) = Phi((t sqrt(N) - z sqrt(n)) / sqrt(N - n))
 *
 * Stopping for a loss crowns nobody, so it needs no correction; it costs power, which the bench measures.
 *
 * Pure, and written with operations that give the same bits on every machine: all validators stop at the same prompt.
 */
import { normalUpperTail, normalUpperTailInverse } from './normal.ts';
import { type PairedRules, type PairedTest, testDeltas } from './paired.ts';

export interface EarlyStopping {
  /** Prompts between two looks; a multiple of the batch that is scored at once. */
  lookEvery: number;
  win: {
    /** Probability that a challenger that is no better ever wins before the last look. */
    alpha: number;
    /** Fewer prompts than this are never enough. */
    minPrompts: number;
  };
  futility: {
    /** A duel ends as lost below this predictive probability of winning it. */
    minProbability: number;
    minPrompts: number;
    /** Whether such a challenger is not asked the questions of the axes either: they cost more than the duel. */
    skipAxes: boolean;
  };
}

export interface SequentialRules extends PairedRules {
  /** Length of a whole duel: the last look. */
  prompts: number;
  /** Null: no look but the last. */
  sequential: EarlyStopping | null;
}

export type StopReason = 'win' | 'futility' | 'last_look';

export interface SequentialVerdict {
  /** Null: more prompts are needed. */
  decided: 'win' | 'loss' | null;
  /** What ended it; null while undecided. */
  reason: StopReason | null;
  /** Prompts that the verdict rests on: later ones are as if never asked. 0 before the first look. */
  atN: number;
  /** On these prompts. A duel that is decided is won exactly when `test.win`. */
  test: PairedTest;
  /** Natural log of the evidence for a win at `atN`; log(1 / alpha) is enough. */
  logEvidence: number;
  /** Predictive probability of a win at the last look, seen from `atN`; 0 or 1 at the last look itself. */
  winProbability: number;
}

/** Standard errors by which the mean must exceed the margin: the stricter of the two conditions of the paired test. */
export function criticalZ(rules: Pick<PairedRules, 'alpha' | 'confidenceZ'>): number {
  return Math.max(rules.confidenceZ, normalUpperTailInverse(rules.alpha));
}

/**
 * The verdict at the first look that decides; more deltas never change it.
 * @param deltas king minus challenger per prompt, nats, in the order of the prompts; those measured so far
 */
export function sequentialVerdict(deltas: ArrayLike<number>, rules: SequentialRules): SequentialVerdict {
  const { prompts, sequential } = rules;
  const values = Float64Array.from(deltas);
  const evidence = new Evidence(rules);
  const step = sequential?.lookEvery ?? prompts;
  const z = criticalZ(rules);
  let look: Look = { atN: 0, test: testDeltas([], rules), logEvidence: 0, winProbability: 0 };
  while (look.atN < prompts) {
    const atN = Math.min(look.atN + step, prompts);
    if (values.length < atN) return { decided: null, reason: null, ...look };
    evidence.add(values.subarray(look.atN, atN));
    const test = testDeltas(values.subarray(0, atN), rules);
    look = { atN, test, logEvidence: evidence.log, winProbability: winProbability(test, z, rules) };
    const reason = atN === prompts ? 'last_look' : sequential && whatEnds(look, sequential);
    if (reason) return { decided: test.win ? 'win' : 'loss', reason, ...look };
  }
  return { decided: 'loss', reason: 'last_look', ...look };
}

type Look = Omit<SequentialVerdict, 'decided' | 'reason'>;

function whatEnds(look: Look, { win, futility }: EarlyStopping): StopReason | null {
  const { atN, test, logEvidence } = look;
  if (test.win && atN >= win.minPrompts && logEvidence >= Math.log(1 / win.alpha)) return 'win';
  if (!test.win && atN >= futility.minPrompts && look.winProbability < futility.minProbability) return 'futility';
  return null;
}

/** Predictive probability of winning at the last look. */
function winProbability({ n, meanDelta, se, win }: PairedTest, z: number, rules: SequentialRules): number {
  const { prompts, minDelta } = rules;
  if (n >= prompts) return win ? 1 : 0;
  // Equal deltas say all there is to say: a copy of the king stops here.
  if (se === 0) return meanDelta > minDelta ? 1 : 0;
  const t = (meanDelta - minDelta) / se;
  const needed = z * Math.sqrt(n) - t * Math.sqrt(prompts);
  return normalUpperTail(needed / Math.sqrt(prompts - n));
}

/** Running evidence for a win; grows batch by batch, each with one l from all batches before. */
class Evidence {
  log = 0;
  readonly #minDelta: number;
  /** l² times the mean square: the best fixed l for a duel of the expected length. */
  readonly #strength: number;
  #n = 0;
  #squares = 0;

  constructor({ minDelta, prompts, sequential }: SequentialRules) {
    this.#minDelta = minDelta;
    const { alpha, minPrompts } = sequential?.win ?? { alpha: 1, minPrompts: prompts };
    this.#strength = (2 * Math.log(1 / alpha)) / Math.sqrt(minPrompts * prompts);
  }

  add(deltas: Float64Array): void {
    const l = this.#squares > 0 ? Math.sqrt((this.#strength * this.#n) / this.#squares) : 0;
    for (const delta of deltas) {
      const x = delta - this.#minDelta;
      this.log += l * x - (l * x * (l * x)) / 2;
      this.#squares += x * x;
    }
    this.#n += deltas.length;
  }
}
