/** @file Learning rate over a run: linear warm-up, constant, linear decay to zero (warm-up, stable, decay). */
export interface Schedule {
  peak: number;
  warmupSteps: number;
  steps: number;
  /** Share of the run that decays at the end. */
  decayShare: number;
}

/** Rate of update `step`, counted from 0: the least of the three, so a short run rises and falls without a plateau. */
export function learningRate({ peak, warmupSteps, steps, decayShare }: Schedule, step: number): number {
  const decaySteps = Math.max(1, Math.round(steps * decayShare));
  const rising = (peak * (step + 1)) / warmupSteps;
  const falling = peak * ((steps - step) / decaySteps);
  return Math.max(0, Math.min(peak, rising, falling));
}
