/** @file Choosing a token from logits: temperature, top-k, top-p (nucleus, Holtzman et al. 2020). Exact for a seed. */
import type { Rng } from '@quasar/base';

export interface SampleOptions {
  /** 0 takes the most likely token. Default 1. */
  temperature?: number | undefined;
  /** Keep the smallest set of tokens whose mass reaches this. Default 1: all. */
  topP?: number | undefined;
  /** Keep this many tokens. Default all. */
  topK?: number | undefined;
}

/** @returns the token and its log-probability under the untempered distribution. Ties go to the lowest id. */
export function sampleToken(
  logits: ArrayLike<number>,
  options: SampleOptions,
  rng: Rng,
): { token: number; logprob: number } {
  const { temperature = 1, topP = 1, topK = logits.length } = options;
  let best = 0;
  for (let v = 1; v < logits.length; v++) if ((logits[v] as number) > (logits[best] as number)) best = v;
  const top = logits[best] as number;
  let total = 0;
  for (let v = 0; v < logits.length; v++) total += Math.exp((logits[v] as number) - top);
  const logprobOf = (token: number) => (logits[token] as number) - top - Math.log(total);
  if (temperature <= 0) return { token: best, logprob: logprobOf(best) };

  const mass = Float64Array.from(logits, (z) => Math.exp((z - top) / temperature));
  let candidates: number[] | null = null;
  if (topP < 1 || topK < logits.length) {
    const order = Array.from(mass, (_, v) => v)
      .sort((a, b) => (mass[b] as number) - (mass[a] as number) || a - b)
      .slice(0, topK);
    const all = mass.reduce((sum, m) => sum + m, 0);
    let kept = 0;
    let end = 0;
    while (end < order.length && kept < topP * all) kept += mass[order[end++] as number] as number;
    candidates = order.slice(0, Math.max(1, end));
  }
  const among = candidates ?? mass.keys();
  let sum = 0;
  for (const v of candidates ?? mass.keys()) sum += mass[v] as number;
  let at = rng.next() * sum;
  let last = best;
  for (const v of among) {
    last = v;
    at -= mass[v] as number;
    if (at < 0) break;
  }
  return { token: last, logprob: logprobOf(last) };
}
