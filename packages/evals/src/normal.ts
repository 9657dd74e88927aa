/**
 * @file The normal distribution's upper tail, to about 1e-15 relative: p-values decide crowns, so no table fits.
 *
 * Near zero: the series of Marsaglia (2004), 1/2 - phi(x) (x + x^3/3 + x^5/(3*5) + ...). In the tail, where that
 * difference would cancel: Laplace's continued fraction phi(x) / (x + 1/(x + 2/(x + 3/(x + ...)))).
 */

const SERIES_BELOW = 2.5;
/** At x = 2.5 the fraction has converged to 1e-16 after about 120 levels; deeper x needs fewer. */
const FRACTION_LEVELS = 200;

/** P(Z > x) for a standard normal Z. */
export function normalUpperTail(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x < 0) return 1 - normalUpperTail(-x);
  if (x === Infinity) return 0;
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  if (x >= SERIES_BELOW) {
    let fraction = x;
    for (let level = FRACTION_LEVELS; level > 0; level--) fraction = x + level / fraction;
    return density / fraction;
  }
  let term = x;
  let sum = x;
  for (let k = 3; term > sum * 1e-17; k += 2) {
    term *= (x * x) / k;
    sum += term;
  }
  return 0.5 - density * sum;
}

/** P(|Z| > |x|). */
export function normalTwoSided(x: number): number {
  return Math.min(1, 2 * normalUpperTail(Math.abs(x)));
}

/**
 * The x with P(Z > x) = p, by bisection to the last bit: decided once per duel, so clarity wins over speed.
 * @param p in (0, 1)
 */
export function normalUpperTailInverse(p: number): number {
  let [low, high] = [-40, 40];
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (normalUpperTail(middle) > p) low = middle;
    else high = middle;
  }
}
