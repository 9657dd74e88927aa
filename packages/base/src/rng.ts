/**
 * @file Seeded random numbers, the same on every machine.
 *
 * Generator: xoshiro128** (Blackman and Vigna 2018), seeded by SHA-256 of the seed text, so that seeds may be
 * block hashes. `fork` derives independent streams by label: adding a consumer never shifts another one's draws.
 */
import { createHash } from 'node:crypto';

export class Rng {
  readonly #seed: string;
  readonly #s: Uint32Array;

  /** @param seed any text or number; equal seeds give equal streams. */
  constructor(seed: string | number) {
    this.#seed = String(seed);
    const digest = createHash('sha256').update(this.#seed).digest();
    this.#s = new Uint32Array(4);
    for (let i = 0; i < 4; i++) this.#s[i] = digest.readUInt32LE(i * 4) || i + 1;
  }

  /** An independent stream named by `label`; does not advance this one. */
  fork(label: string | number): Rng {
    return new Rng(`${this.#seed}/${label}`);
  }

  /** Uniform 32-bit unsigned integer. */
  uint32(): number {
    const s = this.#s as unknown as [number, number, number, number];
    const x = Math.imul(s[1], 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** Uniform in [0, 1) with 53 bits. */
  next(): number {
    return ((this.uint32() >>> 5) * 67108864 + (this.uint32() >>> 6)) / 9007199254740992;
  }

  /** Uniform integer in [low, high], both inclusive. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('Rng.pick: empty list');
    return items[this.int(0, items.length - 1)] as T;
  }

  /** `count` distinct items in random order. */
  sample<T>(items: readonly T[], count: number): T[] {
    return this.shuffle([...items]).slice(0, count);
  }

  /** Fisher-Yates, in place. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.int(0, i);
      [items[i], items[j]] = [items[j] as T, items[i] as T];
    }
    return items;
  }

  /** Standard normal (Box-Muller, one value per call). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /** The four state words, to be restored by `setState`: exact resume of a stopped run. */
  state(): number[] {
    return [...this.#s];
  }

  setState(words: readonly number[]): void {
    this.#s.set(words);
  }
}
