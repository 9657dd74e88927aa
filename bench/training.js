/** @file What areas that train beside a peer share: weights to send, and whether its first steps are ours. */

/** Relative; float32 sums over thousands of tokens in another order. */
const TOLERANCE = { ce: 1e-4, gradientNorm: 1e-3 };

/** Of the answer to `prepare`. @param ours reports of the first steps; the second shows what the first did to the weights */
export function agreement(ours) {
  const wanted = ours.map(({ metrics, gradientNorm }) => ({ ce: metrics.ce, gradientNorm }));
  return ({ steps }) => {
    wanted.forEach((step, i) => {
      for (const [what, limit] of Object.entries(TOLERANCE)) {
        const apart = Math.abs(steps[i][what] / step[what] - 1);
        if (!(apart <= limit))
          throw new Error(`${what} of step ${i + 1} is ${steps[i][what]}, ours ${step[what]}: not the same model`);
      }
    });
  };
}

/** Every tensor of the table, one after the other. */
export async function allValues(table, parameters) {
  const parts = await Promise.all([...table.keys()].map((name) => parameters.get(name).read()));
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
