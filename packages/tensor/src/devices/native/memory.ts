/**
 * @file Memory of the native device: freed blocks are kept by size and used again, because a training step asks for the
 * same sizes every time and fresh pages are slow; what is kept beyond need goes back to the system.
 */
import { QuasarError } from '@quasar/base';
import type { MemoryUse } from '../../device.ts';
import type { Addon } from './addon.ts';

/** Used and spare memory together may grow this much beyond the most that was in use at once. */
const SLACK = { factor: 1.25, bytes: 2 ** 26 };

export class Memory {
  readonly #api: Addon;
  /** Free blocks by size. */
  readonly #spare = new Map<number, number[]>();
  #usedBytes = 0;
  #spareBytes = 0;
  #peakBytes = 0;

  constructor(api: Addon) {
    this.#api = api;
  }

  get use(): MemoryUse {
    return { usedBytes: this.#usedBytes, spareBytes: this.#spareBytes, peakBytes: this.#peakBytes };
  }

  /** The size that a block for `bytes` has: up to an eighth more, so that near sizes share freed memory. */
  static blockSize(bytes: number): number {
    if (bytes <= 4096) return Math.max(64, Math.ceil(bytes / 64) * 64);
    const step = 2 ** (Math.floor(Math.log2(bytes)) - 3);
    return Math.ceil(bytes / step) * step;
  }

  /** @param bytes a `blockSize`. @throws QuasarError tensor.out_of_memory */
  allocate(bytes: number): number {
    let pointer = this.#spare.get(bytes)?.pop() ?? 0;
    if (pointer !== 0) this.#spareBytes -= bytes;
    else {
      this.#trimTo(SLACK.factor * this.#peakBytes + SLACK.bytes - this.#usedBytes - bytes);
      pointer = this.#api.alloc(bytes);
      if (pointer === 0) {
        this.trim();
        pointer = this.#api.alloc(bytes);
      }
    }
    if (pointer === 0) {
      throw new QuasarError(
        'tensor.out_of_memory',
        `native device: could not allocate ${bytes} bytes; ${this.#usedBytes} bytes are in use`,
        { hint: 'use a smaller batch, sequence or model' },
      );
    }
    this.#usedBytes += bytes;
    if (this.#usedBytes > this.#peakBytes) this.#peakBytes = this.#usedBytes;
    return pointer;
  }

  free(pointer: number, bytes: number): void {
    const list = this.#spare.get(bytes);
    if (list) list.push(pointer);
    else this.#spare.set(bytes, [pointer]);
    this.#usedBytes -= bytes;
    this.#spareBytes += bytes;
  }

  /** Gives everything that is not in use back to the system. */
  trim(): void {
    this.#trimTo(0);
  }

  /** Largest blocks first: they are few and hold the most. */
  #trimTo(limitBytes: number): void {
    if (this.#spareBytes <= limitBytes) return;
    for (const [bytes, pointers] of [...this.#spare].sort((a, b) => b[0] - a[0])) {
      while (pointers.length > 0 && this.#spareBytes > limitBytes) {
        this.#api.free(pointers.pop() as number, bytes);
        this.#spareBytes -= bytes;
      }
      if (pointers.length === 0) this.#spare.delete(bytes);
    }
  }
}
