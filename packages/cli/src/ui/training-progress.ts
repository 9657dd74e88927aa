/** @file What a training run looks like in a terminal: a forecast, a bar, a word when the forecast was wrong. */
import { durationText as duration } from '@quasar/base';
import type { EventOf, RunEvent } from '@quasar/train';
import type { Context } from '../context.ts';
import { startProgress } from './progress.ts';

/** Steps and time after which the pace is known better than the forecast. */
const PACE_STEPS = 3;
const PACE_MS = 5000;
/** A forecast that is off by less is left alone. */
const FORECAST_ERROR = 0.25;

export interface TrainingProgress {
  show(event: RunEvent): void;
  /** Ends the line of the bar. Safe to call twice. */
  end(): void;
}

/** @param machine what computes, for people: `native, 2 threads` */
export function startTrainingProgress(context: Context, machine: string): TrainingProgress {
  const progress = startProgress(context, 'training');
  let heldOut: EventOf<'evaluation'>['heldOut'] | null = null;
  let forecast: { ms: number; startedAtMs: number; steps: number } | null = null;
  return {
    show(event) {
      if (event.type === 'evaluation') heldOut = event.heldOut;
      if (event.type === 'started') {
        forecast =
          event.predictedMs === null ? null : { ms: event.predictedMs, startedAtMs: performance.now(), steps: 0 };
        progress.end();
        context.note(forecastLine(event, machine));
      }
      if (event.type !== 'step') return;
      if (forecast) {
        forecast.steps++;
        const elapsedMs = performance.now() - forecast.startedAtMs;
        if (forecast.steps >= PACE_STEPS && elapsedMs >= PACE_MS) {
          const totalMs = elapsedMs + event.etaMs;
          if (Math.abs(totalMs / forecast.ms - 1) > FORECAST_ERROR) {
            progress.end();
            context.note(`quasar: at this pace ${duration(totalMs)} instead of ${duration(forecast.ms)}`);
          }
          forecast = null;
        }
      }
      progress.update(event.step, event.steps, stepLine(event, heldOut));
    },
    end: () => progress.end(),
  };
}

function forecastLine({ settings, resumedAtStep, predictedMs, workers }: EventOf<'started'>, machine: string): string {
  const { steps, B, T, accumulate = 1 } = settings as { steps: number; B: number; T: number; accumulate?: number };
  const tokens = (B * T * accumulate).toLocaleString('en-US');
  const from = resumedAtStep === null ? '' : `from step ${resumedAtStep}: `;
  const left = `${steps - (resumedAtStep ?? 0)} steps of ${tokens} tokens`;
  const about = predictedMs === null ? left : `about ${duration(predictedMs)} for ${left}`;
  return `quasar: ${from}${about} on ${machine}${workers > 1 ? `, ${workers} workers` : ''}`;
}

/** `step 120/600  ce 2.314  held-out 2.402  5,812 tokens/s  41 % of peak  3 min left`. */
export function stepLine(event: EventOf<'step'>, heldOut: EventOf<'evaluation'>['heldOut'] | null): string {
  const { step, steps, metrics, tokensPerSecond, peakShare, etaMs } = event;
  const names = Object.keys(metrics);
  const shown = names.length > 1 ? names.filter((name) => name !== 'loss') : names;
  const main = shown.find((name) => /(^|_)kl/.test(name)) ?? shown[0] ?? '';
  const held = Object.entries(heldOut ?? {}).flatMap(([set, values]) =>
    values[main] === undefined ? [] : [`${set} ${values[main].toFixed(3)}`],
  );
  return [
    `step ${step}/${steps}`,
    ...shown.map((name) => `${name} ${metrics[name]?.toFixed(3)}`),
    ...(held.length > 0 ? [`held-out ${held.join(', ')}`] : []),
    `${Math.round(tokensPerSecond).toLocaleString('en-US')} tokens/s`,
    ...(peakShare === null ? [] : [`${Math.round(100 * peakShare)} % of peak`]),
    `${duration(etaMs)} left`,
  ].join('  ');
}
