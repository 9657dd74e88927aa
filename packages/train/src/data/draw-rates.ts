/** @file How often to draw from each source of a mixture, so that the tokens come out as the weights say. */
import { Rng } from '@quasar/base';

const PASSES = 8;
const DRAWS = 20_000;

/**
 * Rows are filled with made-up documents of the sampled lengths, as `pack` fills them; from the tokens that each source gets per draw
 * follow better rates, some times over. Long documents are cut off at the ends of rows more than short ones, so mean lengths alone
 * would be wrong.
 * @param parts with some lengths of documents of each
 * @returns per part, the share of the draws; the sum is 1
 */
export function drawRates(
  parts: readonly { weight: number; lengths: readonly number[] }[],
  rowTokens: number,
): number[] {
  const normalised = (values: readonly number[]) => {
    const total = values.reduce((sum, value) => sum + value, 0);
    return values.map((value) => value / total);
  };
  const weights = normalised(parts.map(({ weight }) => weight));
  if (parts.length === 1) return weights;
  let rates = normalised(weights.map((weight, i) => weight / mean(parts[i]?.lengths as readonly number[])));
  if (rowTokens === Number.POSITIVE_INFINITY) return rates;
  for (let pass = 0; pass < PASSES; pass++) {
    const kept = keptPerDraw(parts, rates, rowTokens);
    rates = normalised(weights.map((weight, i) => (weight === 0 ? 0 : weight / (kept[i] as number))));
  }
  return rates;
}

function keptPerDraw(
  parts: readonly { lengths: readonly number[] }[],
  rates: readonly number[],
  rowTokens: number,
): number[] {
  const rng = new Rng('draw rates');
  const draws = parts.map(() => 0);
  const tokens = parts.map(() => 0);
  let room = rowTokens;
  for (let n = 0; n < DRAWS; n++) {
    let at = rng.next();
    const found = rates.findIndex((rate) => {
      at -= rate;
      return at < 0;
    });
    const part = found < 0 ? rates.findLastIndex((rate) => rate > 0) : found;
    const length = Math.min(room, rng.pick(parts[part]?.lengths as readonly number[]));
    draws[part] = (draws[part] as number) + 1;
    tokens[part] = (tokens[part] as number) + length;
    room = room === length ? rowTokens : room - length;
  }
  // A part that was never drawn keeps its mean length.
  return parts.map(({ lengths }, i) => (draws[i] === 0 ? mean(lengths) : (tokens[i] as number) / (draws[i] as number)));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
