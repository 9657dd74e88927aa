/** @file Objectives as plain JSON: what a run's settings hold, and what another process opens again. */
import { QuasarError } from '@quasar/base';
import { type Checkpoint, checkpointDigest, disposeParameters, loadCheckpoint } from '@quasar/model';
import type { Device } from '@quasar/tensor';
import { type DistilOptions, distilObjective } from './distil.ts';
import { mimicObjective } from './mimic.ts';
import { crossEntropyObjective, type Objective } from './objective.ts';
import { checkVocabulary } from './teacher.ts';

export type DistilSpec = DistilOptions & {
  kind: 'distil';
  /** Folder of a checkpoint of any family. Absent: views come with the documents. */
  teacher?: string | undefined;
};

export type ObjectiveSpec = { kind: 'cross_entropy' } | { kind: 'mimic' } | DistilSpec;

/**
 * @throws QuasarError train.bad_objective; train.vocabulary when teacher and student do not share a tokenizer; as
 * `loadCheckpoint`
 */
export async function openObjective(spec: ObjectiveSpec, student: Checkpoint, device: Device): Promise<Objective> {
  switch (spec.kind) {
    case 'cross_entropy':
      return crossEntropyObjective();
    case 'mimic':
      return mimicObjective();
    case 'distil':
      return openDistil(spec, student, device);
    default:
      throw new QuasarError('train.bad_objective', `objective ${(spec as { kind?: unknown }).kind}`, {
        hint: 'there are cross_entropy, distil and mimic',
      });
  }
}

async function openDistil(
  { kind: _, teacher: folder, ...options }: DistilSpec,
  student: Checkpoint,
  device: Device,
): Promise<Objective> {
  if (folder === undefined) return distilObjective(null, options);
  const teacher = loadCheckpoint(folder, device, { dtype: 'stored' });
  try {
    const fingerprint = await checkpointDigest(folder);
    checkVocabulary(teacher, student);
    const objective = distilObjective(teacher, options, student.config);
    return {
      ...objective,
      fingerprint,
      dispose() {
        objective.dispose?.();
        disposeParameters(teacher.parameters);
      },
    };
  } catch (error) {
    disposeParameters(teacher.parameters);
    throw error;
  }
}
