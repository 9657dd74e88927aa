/** @file Decoding a stream of tokens: a character whose bytes lie in several tokens comes out when it is complete. */
import type { Tokenizer } from './tokenizer.ts';

const REPLACEMENT = new TextEncoder().encode('\ufffd');

export class TokenDecoder {
  readonly #tokenizer: Tokenizer;
  readonly #specials: boolean;
  // A byte order mark is text like any other.
  readonly #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

  /** @param options with `specials`, special tokens come out as their text instead of nothing */
  constructor(tokenizer: Tokenizer, options: { specials?: boolean } = {}) {
    this.#tokenizer = tokenizer;
    this.#specials = options.specials ?? false;
  }

  /** The text that `id` completes, possibly empty. */
  push(id: number): string {
    if (this.#tokenizer.isSpecial(id)) {
      return this.#specials ? this.flush() + this.#utf8.decode(this.#tokenizer.vocabulary.tokens[id]!) : '';
    }
    return this.#utf8.decode(this.#tokenizer.vocabulary.tokens[id] ?? REPLACEMENT, { stream: true });
  }

  /** What is left at the end: U+FFFD for a character that was begun and never finished. */
  flush(): string {
    return this.#utf8.decode();
  }
}
