/** @file The newest head seen, and waiting for one: whoever is slow meets the newest, never a queue. */
import type { Head } from '../port.ts';

export class Newest {
  readonly #signal: AbortSignal;
  #head: Head | null = null;
  #failure: { error: unknown } | null = null;
  #wake: (() => void) | null = null;

  /** One reader at a time. @param signal ends the waiting */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wake?.(), { once: true });
  }

  put(head: Head): void {
    this.#head = head;
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#failure = { error };
    this.#wake?.();
  }

  /** The newest head as soon as it is `number` or later; null after an abort. Throws what `fail` was told. */
  async from(number: number): Promise<Head | null> {
    for (;;) {
      if (this.#signal.aborted) return null;
      if (this.#failure) throw this.#failure.error;
      if (this.#head && this.#head.number >= number) return this.#head;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
