/** @file Objectives as plain JSON, for whoever opens them in another process. */
import { type Checkpoint, loadCheckpoint } from '@quasar/model';
import type { Device } from '@quasar/tensor';
import { crossEntropyObjective, type DistilOptions, distilObjective, type Objective } from './objective.ts';

export type ObjectiveSpec = { kind: 'cross_entropy' } | ({ kind: 'distil'; teacher: string } & DistilOptions);

/** @throws QuasarError as `loadCheckpoint` */
export async function openObjective(spec: ObjectiveSpec, _student: Checkpoint, device: Device): Promise<Objective> {
  if (spec.kind === 'cross_entropy') return crossEntropyObjective();
  return distilObjective(loadCheckpoint(spec.teacher, device), spec);
}
