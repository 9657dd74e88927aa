/** @file Held-out losses of a training run, nats per token: one row per evaluation, one column per set and metric. */
import type { Evaluation } from '@quasar/train';
import { table } from './table.ts';

export function lossTable(evaluations: readonly Evaluation[]): string {
  const sets = Object.entries(evaluations[0]?.heldOut ?? {}).flatMap(([set, metrics]) =>
    Object.keys(metrics).map((metric) => ({ set, metric })),
  );
  const columns = sets.map(({ set, metric }) => ({
    title: `held-out ${set} ${metric}`,
    value: (row: Evaluation) => row.heldOut[set]?.[metric]?.toFixed(4) ?? '',
  }));
  return table([{ title: 'step', value: (row: Evaluation) => row.step }, ...columns], evaluations);
}
