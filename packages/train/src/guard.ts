/**
 * @file The guard of a run: which steps are not taken, and when a run goes back to its last save. It sees losses and norms and
 * nothing else, so a resumed run decides as one that never stopped.
 */

/** Steps without finite numbers, one after the other, that mean divergence. */
const NOT_FINITE_LIMIT = 3;
/** Of the running mean of the loss. */
const MEAN_DECAY = 0.98;
/** Steps before the running mean says anything. */
const MEAN_STEPS = 20;
/** What a rollback does to the learning rate of the rest of the run. */
const RATE_FACTOR = 0.5;

export interface GuardSettings {
  /** A loss this many nats above its running mean is high. 0: only numbers that are not finite count. */
  lossRise: number;
  /** High losses, one after the other, that mean divergence. */
  patience: number;
  /** The run fails when it diverges more often than this. */
  maxRollbacks: number;
}

export const GUARD_DEFAULTS: GuardSettings = { lossRise: 1, patience: 10, maxRollbacks: 3 };

/** Plain JSON: what a resume point keeps. */
export interface GuardState {
  mean: number;
  steps: number;
  high: number;
  notFinite: number;
  rollbacks: number;
}

export type Verdict = { kind: 'take' } | { kind: 'skip' | 'roll_back'; why: string };

export class Guard {
  readonly #settings: GuardSettings;
  state: GuardState = { mean: 0, steps: 0, high: 0, notFinite: 0, rollbacks: 0 };

  constructor(settings: GuardSettings) {
    this.#settings = settings;
  }

  /** Factor on the learning rate. */
  get rateFactor(): number {
    return RATE_FACTOR ** this.state.rollbacks;
  }

  get isExhausted(): boolean {
    return this.state.rollbacks >= this.#settings.maxRollbacks;
  }

  /** Judges a step before it is taken. */
  judge(loss: number, gradientNorm: number): Verdict {
    const { state } = this;
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      const why = `loss ${loss}, gradient norm ${gradientNorm}`;
      state.notFinite++;
      // Before the first good step the data is not to blame.
      const isDiverged = state.notFinite >= NOT_FINITE_LIMIT || state.steps === 0;
      return { kind: isDiverged ? 'roll_back' : 'skip', why };
    }
    state.notFinite = 0;
    const { lossRise, patience } = this.#settings;
    if (lossRise > 0 && state.steps >= MEAN_STEPS && loss > state.mean + lossRise) {
      state.high++;
      const why = `the loss was ${loss.toFixed(3)}, more than ${lossRise} above its mean ${state.mean.toFixed(3)}, in ${state.high} steps`;
      return state.high >= patience ? { kind: 'roll_back', why } : { kind: 'take' };
    }
    state.high = 0;
    state.mean = state.steps === 0 ? loss : MEAN_DECAY * state.mean + (1 - MEAN_DECAY) * loss;
    state.steps++;
    return { kind: 'take' };
  }

  /** After going back to a save whose guard was in `saved`. */
  rolledBack(saved: GuardState): void {
    this.state = { ...saved, high: 0, notFinite: 0, rollbacks: this.state.rollbacks + 1 };
  }
}
