/**
 * @file Memory of the wasm device: blocks of a WebAssembly memory that only grows, up to 4 GiB. Freed blocks are kept by
 * size; neighbours are joined when too much lies idle or the memory cannot grow any more. Threads may grow the same memory for themselves.
 */
import type { MemoryUse } from '../../device.ts';

const PAGE = 65536;
const ALIGN = 64;
/** Pages asked for at a time, so that small blocks do not each grow the memory. */
const STEP = 16 * 2 ** 20;
/** Freed blocks are joined before the memory grows when they hold this much, beside this share of what is in use. */
const SLACK = { bytes: 2 ** 26, share: 0.25 };

interface Range {
  start: number;
  end: number;
}

export class Heap {
  readonly use: MemoryUse = { usedBytes: 0, spareBytes: 0, peakBytes: 0 };
  readonly #memory: WebAssembly.Memory;
  readonly #spare = new Map<number, number[]>();
  /** Memory that no block of a known size holds, by address. The last is the one that grows. */
  #free: Range[];

  /** @param start first byte of `memory` that is free now. */
  constructor(memory: WebAssembly.Memory, start: number) {
    this.#memory = memory;
    this.#free = [{ start: Math.ceil(start / ALIGN) * ALIGN, end: memory.buffer.byteLength }];
  }

  /** Address of `blockSize(bytes)` bytes, 64-byte aligned; 0 when there is no room. */
  allocate(bytes: number): number {
    const size = blockSize(bytes);
    const spare = this.#spare.get(size)?.pop();
    if (spare !== undefined) this.use.spareBytes -= size;
    const isWasteful = this.use.spareBytes > SLACK.bytes + SLACK.share * this.use.usedBytes;
    const address =
      spare ?? (this.#carve(size) || (isWasteful && this.#join(size)) || this.#grow(size) || this.#join(size));
    if (address !== 0) this.use.usedBytes += size;
    this.use.peakBytes = Math.max(this.use.peakBytes, this.use.usedBytes);
    return address;
  }

  /** @param bytes what the block was allocated with. */
  free(address: number, bytes: number): void {
    const size = blockSize(bytes);
    const list = this.#spare.get(size);
    if (list) list.push(address);
    else this.#spare.set(size, [address]);
    this.use.usedBytes -= size;
    this.use.spareBytes += size;
  }

  /** From the newest range on: the oldest ones are what joining left, and stay for when nothing else is there. */
  #carve(size: number): number {
    for (let i = this.#free.length - 1; i >= 0; i--) {
      const range = this.#free[i] as Range;
      if (range.end - range.start < size) continue;
      const address = range.start;
      range.start += size;
      if (range.start === range.end) this.#free.splice(i, 1);
      return address;
    }
    return 0;
  }

  #grow(size: number): number {
    for (const bytes of [Math.max(size, STEP), size]) {
      try {
        const start = this.#memory.grow(Math.ceil(bytes / PAGE)) * PAGE;
        const end = start + Math.ceil(bytes / PAGE) * PAGE;
        const last = this.#free.at(-1);
        if (last?.end === start) last.end = end;
        else this.#free.push({ start, end });
        return this.#carve(size);
      } catch {
        // Past the maximum, or the system has no more: then with less, then without.
      }
    }
    return 0;
  }

  /** Makes ranges of all freed blocks, then carves. */
  #join(size: number): number {
    const ranges = [...this.#free];
    for (const [bytes, addresses] of this.#spare) {
      for (const start of addresses) ranges.push({ start, end: start + bytes });
    }
    this.#spare.clear();
    this.use.spareBytes = 0;
    this.#free = [];
    for (const range of ranges.sort((a, b) => a.start - b.start)) {
      const last = this.#free.at(-1);
      if (last?.end === range.start) last.end = range.end;
      else this.#free.push(range);
    }
    return this.#carve(size);
  }
}

/** Up to an eighth more than asked, so that near sizes share freed memory. */
export function blockSize(bytes: number): number {
  const least = Math.max(bytes, 1);
  if (least <= 4096) return Math.ceil(least / ALIGN) * ALIGN;
  const step = 2 ** (Math.floor(Math.log2(least)) - 3);
  return Math.ceil(least / step) * step;
}
