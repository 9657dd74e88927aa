/** @file Finding added tokens in text: at each place the longest, from left to right, as Hugging Face tokenizers do. */

/** Part of a text: plain, or an added token. */
export type Part = { text: string; id: null } | { text: string; id: number };

export class AddedTokens {
  readonly #pattern: RegExp | null;
  readonly #ids: ReadonlyMap<string, number>;

  constructor(ids: ReadonlyMap<string, number>) {
    this.#ids = ids;
    // Of alternatives the first that fits is taken: the longest come first.
    const longestFirst = [...ids.keys()].sort((a, b) => b.length - a.length);
    const escaped = longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
    this.#pattern = escaped.length > 0 ? new RegExp(escaped.join('|'), 'gu') : null;
  }

  /** The parts of a text in order, none empty. */
  *parts(text: string): Generator<Part> {
    let at = 0;
    for (const found of this.#pattern ? text.matchAll(this.#pattern) : []) {
      if (found.index > at) yield { text: text.slice(at, found.index), id: null };
      yield { text: found[0], id: this.#ids.get(found[0]) as number };
      at = found.index + found[0].length;
    }
    if (at < text.length) yield { text: text.slice(at), id: null };
  }
}
