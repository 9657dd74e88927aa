/**
 * @file Tokens to text as they come: a character is given out only when all its bytes have arrived.
 *
 * Byte-level tokens may end inside a UTF-8 character; decoded alone they show U+FFFD at the end. Such tokens wait
 * for the next ones, but not for ever: bytes that never become a character are given out as U+FFFD.
 */
const REPLACEMENT = '\uFFFD';
/** A character has at most 4 bytes, so after 4 more tokens what still does not decode never will. */
const MAX_WAITING = 4;

export class TokenText {
  readonly #decode: (ids: number[]) => string;
  #waiting: number[] = [];

  constructor(decode: (ids: number[]) => string) {
    this.#decode = decode;
  }

  /** The text that became complete with this token; may be empty. */
  push(token: number): string {
    this.#waiting.push(token);
    const text = this.#decode(this.#waiting);
    if (text.endsWith(REPLACEMENT) && this.#waiting.length <= MAX_WAITING) return '';
    this.#waiting = [];
    return text;
  }

  /** What still waits. */
  end(): string {
    const text = this.#waiting.length === 0 ? '' : this.#decode(this.#waiting);
    this.#waiting = [];
    return text;
  }
}
