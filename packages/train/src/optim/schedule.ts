/** @file Learning rate over a run: a linear warm-up, then constant with a linear decay to zero, or a cosine down to zero. */

/** `wsd`: warm-up, stable, decay (Hu et al. 2024); `cosine`: warm-up, half a cosine (Loshchilov and Hutter 2017). */
export type ScheduleKind = 'wsd' | 'cosine';

export interface Schedule {
  /** At the peak. */
  learningRate: number;
  warmupSteps: number;
  steps: number;
  schedule: ScheduleKind;
  /** Of `wsd`: share of the run that decays at the end. */
  decayShare: number;
}

/** Rate of update `step`, counted from 0. A short run rises and falls without a plateau. */
export function learningRate(schedule: Schedule, step: number): number {
  const { learningRate: peak, warmupSteps, steps, decayShare } = schedule;
  const rising = (peak * (step + 1)) / warmupSteps;
  const decaySteps = Math.max(1, Math.round(steps * decayShare));
  const share =
    schedule.schedule === 'wsd'
      ? (steps - step) / decaySteps
      : (1 + Math.cos(Math.PI * Math.min(1, Math.max(0, step - warmupSteps) / Math.max(1, steps - warmupSteps)))) / 2;
  return Math.max(0, Math.min(peak, rising, peak * share));
}
