/** @file Histories of any length in bounded memory: neighbours are joined when there are too many. */

/** Consecutive steps of a series as one point. */
export interface Bin {
  /** Steps in it. */
  count: number;
  /** Means. */
  step: number;
  tokens: number;
  value: number;
  min: number;
  max: number;
}

/** A number per step. Never more than `limit` bins, all of about the same number of steps but the last. */
export class Series {
  readonly #limit: number;
  readonly bins: Bin[] = [];
  #stepsPerBin = 1;

  constructor(limit = 600) {
    this.#limit = limit;
  }

  /** What is not finite is left out. @param count steps up to this one that the value stands for */
  add(step: number, tokens: number, value: number, count = 1): void {
    if (!Number.isFinite(value)) return;
    this.#stepsPerBin = Math.max(this.#stepsPerBin, count);
    const last = this.bins.at(-1);
    const one: Bin = { count, step, tokens, value, min: value, max: value };
    if (last && last.count < this.#stepsPerBin) this.bins[this.bins.length - 1] = joined(last, one);
    else this.bins.push(one);
    if (this.bins.length <= this.#limit) return;
    this.#stepsPerBin *= 2;
    const pairs = Math.ceil(this.bins.length / 2);
    for (let i = 0; i < pairs; i++) {
      const [a, b] = [this.bins[2 * i] as Bin, this.bins[2 * i + 1]];
      this.bins[i] = b ? joined(a, b) : a;
    }
    this.bins.length = pairs;
  }

  get last(): Bin | undefined {
    return this.bins.at(-1);
  }
}

function joined(a: Bin, b: Bin): Bin {
  const count = a.count + b.count;
  const mean = (x: number, y: number) => x + ((y - x) * b.count) / count;
  return {
    count,
    step: mean(a.step, b.step),
    tokens: mean(a.tokens, b.tokens),
    value: mean(a.value, b.value),
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
  };
}

/**
 * Exponential moving average over bins, free of a pull towards its start. @param span bins that weigh most of it
 */
export function smoothed(bins: readonly Bin[], span: number): number[] {
  const keep = 1 - 1 / Math.max(1, span);
  let sum = 0;
  let weight = 0;
  return bins.map(({ value }) => {
    sum = keep * sum + value;
    weight = keep * weight + 1;
    return sum / weight;
  });
}

/** Items of a long list, evenly spread, never more than `limit`; the last one is always there. */
export class Thinned<T> {
  readonly #limit: number;
  readonly #kept: T[] = [];
  #every = 1;
  #seen = 0;
  #last: T | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(item: T): void {
    if (this.#seen % this.#every === 0) this.#kept.push(item);
    this.#seen++;
    this.#last = item;
    if (this.#kept.length < this.#limit) return;
    this.#every *= 2;
    for (let i = 0; 2 * i < this.#kept.length; i++) this.#kept[i] = this.#kept[2 * i] as T;
    this.#kept.length = Math.ceil(this.#kept.length / 2);
  }

  /** How many were added. */
  get seen(): number {
    return this.#seen;
  }

  get last(): T | undefined {
    return this.#last;
  }

  get items(): T[] {
    const isWhole = this.#seen === 0 || (this.#seen - 1) % this.#every === 0;
    return isWhole ? [...this.#kept] : [...this.#kept, this.#last as T];
  }
}
