/** @file A cursor over untrusted bytes that never reads past the end, and a growing buffer to write to. */

/** Reads forward. Everything that does not fit the bytes ends in `fail`, and nothing is allocated before its length is checked. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #fail: (why: string) => Error;
  #at = 0;

  /** @param fail makes the error to throw from a reason without position */
  constructor(bytes: Uint8Array, fail: (why: string) => Error) {
    this.#bytes = bytes;
    this.#fail = fail;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** The error of this reader, with the position added. */
  error(why: string): Error {
    return this.#fail(`${why}, at byte ${this.#at} of ${this.#bytes.length}`);
  }

  skip(length: number): void {
    if (!(length <= this.remaining)) throw this.error(`${length} bytes expected, ${this.remaining} left`);
    this.#at += length;
  }

  /** A copy of the next `length` bytes. */
  take(length: number): Uint8Array {
    const start = this.#at;
    this.skip(length);
    return new Uint8Array(this.#bytes.subarray(start, this.#at));
  }

  u8(): number {
    if (this.remaining < 1) throw this.error('1 byte expected, 0 left');
    return this.#bytes[this.#at++] as number;
  }

  /** Little-endian unsigned integer of `length` bytes. */
  unsigned(length: number): bigint {
    let value = 0n;
    const bytes = this.take(length);
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
    return value;
  }

  /** Refuses what is left over. */
  end(): void {
    if (this.remaining > 0) throw this.error(`${this.remaining} bytes too many`);
  }
}

export class ByteWriter {
  #bytes = new Uint8Array(64);
  #length = 0;

  bytes(bytes: Uint8Array): this {
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = needed;
    return this;
  }

  /** Little-endian; `value` must fit `length` bytes. */
  unsigned(value: bigint | number, length: number): this {
    let left = BigInt(value);
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++, left >>= 8n) bytes[i] = Number(left & 0xffn);
    return this.bytes(bytes);
  }

  /** A copy of what was written. */
  result(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}
