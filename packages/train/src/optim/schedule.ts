/** @file Learning rate over a run: linear warm-up, constant, linear decay to zero (warm-up, stable, decay). */
export interface Schedule {
  peak: number;
  warmupSteps: number;
  steps: number;
  /** Share of the run that decays at the end. */
  decayShare: number;
}

/** Rate of update `step`, counted from 0. */
export function learningRate(s: Schedule, step: number): number {
  if (step < s.warmupSteps) return (s.peak * (step + 1)) / s.warmupSteps;
  const decaySteps = Math.max(1, Math.round(s.steps * s.decayShare));
  return s.peak * Math.min(1, Math.max(0, (s.steps - step) / decaySteps));
}
