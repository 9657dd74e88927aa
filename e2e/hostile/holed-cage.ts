/** @file The real cage, its program one with holes for some repositories, its limits within the patience of a test. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Cage } from '../../packages/subnet/src/evaluation/cage/cage.ts';
import type { RunOptions, UnitInput, UnitOutput, UnitRunner } from '../../packages/subnet/src/evaluation/compute.ts';

const PROGRAM = fileURLToPath(new URL('../../packages/subnet/dist/testing/holed-child.js', import.meta.url));

/** A smallest model and its teacher take a tenth of it. */
export const CAGE_MEMORY_BYTES = 1 << 30;
/** For units that never end; all others have the time of the rules. */
const HANG_MS = 4000;

export class HoledCage implements UnitRunner {
  readonly #limits = { program: PROGRAM, threads: 1, memoryBytes: CAGE_MEMORY_BYTES };
  readonly #cage = new Cage(this.#limits);
  readonly #hasty = new Cage({ ...this.#limits, timeoutMs: HANG_MS });

  run(input: UnitInput, options?: RunOptions): Promise<UnitOutput> {
    const isEndless = input.directories[0]?.includes('--hole-loop-');
    return (isEndless ? this.#hasty : this.#cage).run(input, options);
  }

  async close(): Promise<void> {
    await Promise.all([this.#cage.close(), this.#hasty.close()]);
  }

  /** Resident memory of its processes, their largest so far. */
  get peakBytes(): number {
    return Math.max(...[this.#cage, this.#hasty].map(({ pid }) => highWaterBytes(pid)));
  }
}

/** 0 where it cannot be told, or there is no such process. */
function highWaterBytes(pid: number | null): number {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}
