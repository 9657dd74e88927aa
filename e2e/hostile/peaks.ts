/** @file The most memory and disk that a contest has taken, watched while it goes. */
import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const LOOK_MS = 50;

export interface Peaks {
  /** Of the whole process above what it had before: hub, chain and validator are all in it. */
  memoryGrowthBytes: number;
  /** Of the process that computes, all of it. */
  cageBytes: number;
  /** Downloaded files. */
  cacheBytes: number;
  evidenceBytes: number;
  eventLogBytes: number;
}

export class PeakWatch {
  readonly peaks: Peaks = { memoryGrowthBytes: 0, cageBytes: 0, cacheBytes: 0, evidenceBytes: 0, eventLogBytes: 0 };
  readonly #before = process.memoryUsage.rss();
  readonly #timer: NodeJS.Timeout;
  readonly #paths: { cache: string; evidence: string; eventLog: string };
  readonly #cageBytes: () => number;

  constructor(paths: { cache: string; evidence: string; eventLog: string }, cageBytes: () => number) {
    this.#paths = paths;
    this.#cageBytes = cageBytes;
    this.#timer = setInterval(
      () => this.#raise({ memoryGrowthBytes: this.#growth(), cageBytes: cageBytes() }),
      LOOK_MS,
    );
  }

  /** What is there now counts as well. */
  look(): Peaks {
    const { cache, evidence, eventLog } = this.#paths;
    this.#raise({
      ...{ memoryGrowthBytes: this.#growth(), cageBytes: this.#cageBytes() },
      ...{ cacheBytes: sizeOf(cache), evidenceBytes: sizeOf(evidence) },
      eventLogBytes: ['', '-wal'].reduce((sum, end) => sum + sizeOf(`${eventLog}${end}`), 0),
    });
    return this.peaks;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #growth(): number {
    return process.memoryUsage.rss() - this.#before;
  }

  #raise(now: Partial<Peaks>): void {
    for (const [name, bytes] of Object.entries(now) as [keyof Peaks, number][])
      this.peaks[name] = Math.max(this.peaks[name], bytes);
  }
}

/** Each content once: snapshots are links to blobs. */
function sizeOf(path: string): number {
  if (!existsSync(path)) return 0;
  const stat = lstatSync(path);
  if (!stat.isDirectory()) return stat.size;
  const sizes = new Map<number, number>();
  for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' })) {
    // Temporary files come and go.
    const found = lstatSync(join(path, name), { throwIfNoEntry: false });
    if (found?.isFile()) sizes.set(found.ino, found.size);
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}
