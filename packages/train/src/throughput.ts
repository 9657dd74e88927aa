/** @file How fast a run is now. */

const WINDOW_MS = 60_000;
/** Marks nearer to each other than this part of the window are one: a minute of steps takes bounded memory. */
const MARKS = 120;

/** Tokens per second of the last minute, pauses for evaluations and saves among it; at first of what there was so far. */
export class Throughput {
  #tokens = 0;
  /** Where the run stood, oldest first: the first one a minute ago or more, if there was one. */
  readonly #marks: { atMs: number; tokens: number }[];

  /** @param startedAtMs on the clock of `add` */
  constructor(startedAtMs: number) {
    this.#marks = [{ atMs: startedAtMs, tokens: 0 }];
  }

  /** @param tokens since the call before */
  add(tokens: number, atMs: number): number {
    this.#tokens += tokens;
    const marks = this.#marks;
    while (marks.length > 1 && (marks[1] as { atMs: number }).atMs <= atMs - WINDOW_MS) marks.shift();
    const [first] = marks as [{ atMs: number; tokens: number }];
    if (atMs - (marks.at(-1)?.atMs ?? 0) >= WINDOW_MS / MARKS) marks.push({ atMs, tokens: this.#tokens });
    return ((this.#tokens - first.tokens) * 1000) / Math.max(atMs - first.atMs, 1e-3);
  }
}
