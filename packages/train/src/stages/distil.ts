/** @file Stage two: a student learns a teacher's distribution on any data. */
import { disposeParameters, loadCheckpoint, readConfig } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { evenlyWeighted, withoutTeacher } from '../data/adapted.ts';
import { type DistilSpec, openObjective } from '../objectives/spec.ts';
import { forwardFlopsPerToken } from '../runs/costs.ts';
import { corpusSources } from './corpus.ts';
import { runStage, type StageOptions, type StageResult, settingsOf } from './stage.ts';

export interface DistilStageOptions extends StageOptions {
  /** Checkpoint the student starts from. */
  student: string;
  teacher: string;
  /** Default: forward KL between whole distributions. */
  objective?: Omit<DistilSpec, 'kind' | 'teacher'> | undefined;
  /** The teacher knows nothing of the data beside the world: it is learned by cross-entropy alone. Default false. */
  untaughtData?: boolean | undefined;
}

/** What brings a student nearest in the same time: `node bench/distil.js`. */
export const DISTIL_SETTINGS = { matrices: 'muon', learningRate: 5e-3 } as const;

/**
 * Writes the new student as a published checkpoint (BF16) into `directory`.
 * @throws QuasarError train.vocabulary when teacher and student do not share a tokenizer; as `train`, `openObjective`,
 * `loadCheckpoint`
 */
export async function distil(options: DistilStageOptions): Promise<StageResult> {
  const device = openDevice();
  const checkpoint = loadCheckpoint(options.student, device);
  try {
    const objectiveSpec: DistilSpec = { kind: 'distil', teacher: options.teacher, ...options.objective };
    const objective = await openObjective(objectiveSpec, checkpoint, device);
    try {
      const settings = settingsOf(options, DISTIL_SETTINGS);
      const read = await corpusSources(checkpoint.tokenizer, options, settings.T, (source, kind) => {
        if (kind === 'world') return evenlyWeighted(source);
        return options.untaughtData ? withoutTeacher(source) : source;
      });
      const teacher = readConfig(options.teacher);
      const flopsBeside = teacher.ok ? forwardFlopsPerToken(teacher.value, settings.T) : undefined;
      const parts = { source: read.train, heldOut: read.heldOut, skipped: read.skipped };
      const stage = { name: 'distill', checkpoint, objective, objectiveSpec, ...parts, settings, flopsBeside };
      return await runStage(stage, options);
    } finally {
      objective.dispose?.();
    }
  } finally {
    disposeParameters(checkpoint.parameters);
  }
}
