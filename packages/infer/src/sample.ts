/** @file Choosing a token from logits: temperature, top-k, top-p (nucleus, Holtzman et al. 2020). Exact for a seed. */
import type { Rng } from '@quasar/base';

export interface SampleOptions {
  /** 0 takes the most likely token. Default 1. */
  temperature?: number | undefined;
  /** Keep this many tokens. Default all. */
  topK?: number | undefined;
  /** Of those, keep the smallest set of tokens that has this share of their mass. Default 1: all. */
  topP?: number | undefined;
}

/**
 * Temperature, then top-k, then top-p, as other engines do. Ties go to the lowest id; a logit that is not a number
 * counts as minus infinity; logits without a finite largest one give the first of the largest.
 * @returns the token and its log-probability under the untempered distribution of all tokens
 */
export function sampleToken(
  logits: ArrayLike<number>,
  options: SampleOptions,
  rng: Rng,
): { token: number; logprob: number } {
  const { temperature = 1, topP = 1, topK = logits.length } = options;
  const best = argmax(logits);
  const top = logits[best] as number;
  if (!Number.isFinite(top)) return { token: best, logprob: Number.NaN };
  let total = 0;
  for (let i = 0; i < logits.length; i++) {
    const z = logits[i] as number;
    if (z > Number.NEGATIVE_INFINITY) total += Math.exp(z - top);
  }
  const result = (token: number) => ({ token, logprob: (logits[token] as number) - top - Math.log(total) });
  if (!(temperature > 0)) return result(best);

  const mass = new Float64Array(logits.length);
  for (let i = 0; i < logits.length; i++) {
    const z = logits[i] as number;
    if (z > Number.NEGATIVE_INFINITY) mass[i] = Math.exp((z - top) / temperature);
  }
  const candidates = topP < 1 || topK < logits.length ? nucleus(mass, topK, topP) : mass.keys();
  return result(draw(mass, [...candidates], rng) ?? best);
}

function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) {
    const [x, y] = [values[i] as number, values[best] as number];
    if (x > y || (Number.isNaN(y) && !Number.isNaN(x))) best = i;
  }
  return best;
}

/** The heaviest tokens, best first: at most `topK`, and of those the fewest that have `topP` of their mass. */
function nucleus(mass: Float64Array, topK: number, topP: number): number[] {
  // All tokens below the floor together have less than the share that top-p leaves out: without a top-k none of them
  // can be kept, and sorting the few above it is much faster than sorting a vocabulary. Half, to be safe from rounding.
  const total = mass.reduce((sum, m) => sum + m, 0);
  const floor = topK < mass.length ? 0 : (0.5 * (1 - topP) * total) / mass.length;
  const order = [...mass.keys()]
    .filter((v) => (mass[v] as number) >= floor)
    .sort((a, b) => (mass[b] as number) - (mass[a] as number) || a - b)
    .slice(0, Math.max(1, topK));
  const enough = topP * (topK < mass.length ? order.reduce((sum, v) => sum + (mass[v] as number), 0) : total);
  let kept = 0;
  let count = 0;
  while (count < order.length && (count === 0 || kept < enough)) kept += mass[order[count++] as number] as number;
  return order.slice(0, count);
}

/** One of the candidates in proportion to its mass; null when none has any. */
function draw(mass: Float64Array, candidates: readonly number[], rng: Rng): number | null {
  let left = rng.next() * candidates.reduce((sum, v) => sum + (mass[v] as number), 0);
  let last: number | null = null;
  for (const v of candidates) {
    // Rounding may leave a crumb at the end: it belongs to the last token that has mass.
    if (mass[v] === 0) continue;
    last = v;
    left -= mass[v] as number;
    if (left < 0) break;
  }
  return last;
}
