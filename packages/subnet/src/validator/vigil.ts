/**
 * @file What goes on while a round is measured elsewhere: the chain is followed, due weights are set, and somebody notices
 * when waiting has become pointless.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { QuasarError } from '@quasar/base';
import type { RoundState } from '../projection.ts';
import { isOverdue } from '../rules/round.ts';
import { throwIfStopped } from './blocks.ts';
import type { Context } from './context.ts';
import { tend } from './tend.ts';

/** Weights and newcomers have time, also on a chain of quick blocks. */
const MIN_LOOK_MS = 2000;
const MAX_LOOK_MS = 30_000;

export class Vigil {
  readonly #context: Context;
  readonly #round: RoundState;
  readonly #done = new AbortController();
  readonly #over = new AbortController();
  readonly #tending: Promise<void>;
  /** Aborts when nothing more is to be waited for. */
  readonly signal: AbortSignal;
  #failure: unknown = null;

  constructor(context: Context, round: RoundState) {
    this.#context = context;
    this.#round = round;
    this.signal = AbortSignal.any([context.signal, this.#over.signal]);
    setMaxListeners(0, this.signal); // every model of the round waits with it
    this.#tending = this.#tend();
  }

  /** @throws QuasarError `validator.stopped`, `validator.no_verdict` for a round that is overdue, what ended the evaluators, bugs */
  check(): void {
    throwIfStopped(this.#context.signal);
    if (this.#failure !== null) throw this.#failure;
    this.#context.evaluation.check();
  }

  async end(): Promise<void> {
    this.#done.abort();
    await this.#tending;
  }

  async #tend(): Promise<void> {
    const { chain } = this.#context.options;
    const signal = AbortSignal.any([this.#context.signal, this.#done.signal]);
    let lookMs = MIN_LOOK_MS;
    try {
      for (;;) {
        // A chain that is away is no reason to stop what is computed elsewhere.
        const halfBlockMs = await chain.blockTimeMs().then(
          (ms) => ms / 2,
          () => lookMs,
        );
        lookMs = Math.min(Math.max(halfBlockMs, MIN_LOOK_MS), MAX_LOOK_MS);
        if (await delay(lookMs, false, { signal }).catch(() => true)) return;
        await tend(this.#context);
        if (isOverdue(this.#round, this.#context.atBlock, this.#context.config.round))
          throw new QuasarError('validator.no_verdict', `round ${this.#round.round} is not through in time`);
      }
    } catch (error) {
      this.#failure = error;
      this.#over.abort();
    }
  }
}
