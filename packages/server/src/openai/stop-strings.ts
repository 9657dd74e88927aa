/**
 * @file Stop strings over a stream of text: no part of a stop string is ever given out.
 *
 * The longest tail that may still grow into a stop string is held back. The earliest match wins, and of two that
 * start together the one that completes first.
 */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';
  /** True once a stop string was met; everything after it is dropped. */
  isStopped = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** The text that may be given out now. */
  push(text: string): string {
    if (this.isStopped) return '';
    const all = this.#held + text;
    const cut = this.#stops.map((stop) => all.indexOf(stop)).filter((at) => at >= 0);
    if (cut.length > 0) {
      this.isStopped = true;
      this.#held = '';
      return all.slice(0, Math.min(...cut));
    }
    const keep = Math.max(0, ...this.#stops.map((stop) => overlap(all, stop)));
    this.#held = all.slice(all.length - keep);
    return all.slice(0, all.length - keep);
  }

  /** What was held back, at the end of the text. */
  end(): string {
    const rest = this.isStopped ? '' : this.#held;
    this.#held = '';
    return rest;
  }
}

/** Length of the longest proper prefix of `stop` that `text` ends with. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--)
    if (text.endsWith(stop.slice(0, length))) return length;
  return 0;
}
