/** @file How many requests generate at once, and how many may wait for it; more are refused at once with 429. */
import { ApiError } from './api-error.ts';

export interface TurnstileLimits {
  maxRunning: number;
  maxWaiting: number;
}

export class Turnstile {
  readonly #limits: TurnstileLimits;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(limits: TurnstileLimits) {
    this.#limits = limits;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * First come, first served. Call the returned function when done, exactly once.
   * @throws ApiError 429 `server_busy`; the abort reason when `signal` aborts while waiting
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#running < this.#limits.maxRunning) this.#running++;
    else await this.#wait(signal);
    return () => {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    };
  }

  /** Resolves when a place was handed over (`running` stays as it is). */
  #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length >= this.#limits.maxWaiting)
      throw new ApiError(429, {
        code: 'server_busy',
        type: 'rate_limit_error',
        message: `${this.#running} requests are running and ${this.#waiting.length} are waiting, which is the limit. Try again later.`,
        retryAfterS: 2,
      });
    return new Promise((resolve, reject) => {
      const admit = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(admit), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(admit);
    });
  }
}
