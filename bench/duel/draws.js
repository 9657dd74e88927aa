/** @file Deltas of simulated duels: drawn from recorded ones, and from distributions that are worse than anything recorded. */

/** @param {{kl: Record<string, number[]>}} recorded @returns {number[]} king minus challenger, nats per prompt */
export function deltasOf({ kl }, king, challenger) {
  return kl[king].map((value, i) => value - kl[challenger][i]);
}

export function describe(values) {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b) / n;
  const moment = (k) => values.reduce((sum, x) => sum + (x - mean) ** k, 0) / n;
  const variance = moment(2);
  return {
    mean,
    sd: Math.sqrt((variance * n) / (n - 1)),
    skew: moment(3) / variance ** 1.5,
    excessKurtosis: moment(4) / variance ** 2 - 3,
    // Of neighbouring prompts; within 2 / sqrt(n) of zero where they are independent.
    autocorrelation: values.slice(1).reduce((sum, x, i) => sum + (x - mean) * (values[i] - mean), 0) / (n * variance),
  };
}

/** Each fills the deltas of one duel between equals: mean zero, standard deviation about one. */
export const STRESS = {
  normal: each((rng) => rng.normal()),
  'Student t, 3 degrees': each((rng) => {
    const chi = rng.normal() ** 2 + rng.normal() ** 2 + rng.normal() ** 2;
    return rng.normal() / Math.sqrt(chi);
  }),
  'Cauchy (no mean, symmetric)': each((rng) => Math.tan(Math.PI * (rng.next() - 0.5))),
  'skewed for the challenger': each((rng) => -Math.log(1 - rng.next()) - 1),
  'skewed against it': each((rng) => 1 + Math.log(1 - rng.next())),
  'autocorrelated 0.1': correlated(0.1),
  'autocorrelated 0.3': correlated(0.3),
};

function each(draw) {
  return (deltas, rng) => {
    for (let i = 0; i < deltas.length; i++) deltas[i] = draw(rng);
  };
}

/** Neighbouring prompts alike: what independent draws of prompts rule out. */
function correlated(rho) {
  return (deltas, rng) => {
    let last = rng.normal();
    for (let i = 0; i < deltas.length; i++) {
      last = rho * last + Math.sqrt(1 - rho * rho) * rng.normal();
      deltas[i] = last;
    }
  };
}
