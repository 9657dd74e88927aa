/** @file Stage two: a student learns a teacher's distribution: of one that runs, on any data, or from its traces. */
import { QuasarError } from '@quasar/base';
import { TraceSet } from '@quasar/infer';
import { disposeParameters, loadCheckpoint, readConfig, type Tokenizer } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { evenlyWeighted, withoutTeacher } from '../data/adapted.ts';
import { traceSource } from '../data/trace-source.ts';
import { type DistilSpec, openObjective } from '../objectives/spec.ts';
import { forwardFlopsPerToken } from '../runs/costs.ts';
import { corpusSources, type Sources } from './corpus.ts';
import { digestOfWeights } from './digest.ts';
import { runStage, type StageOptions, type StageResult, settingsOf } from './stage.ts';

export interface DistilStageOptions extends StageOptions {
  /** Checkpoint the student starts from. */
  student: string;
  /** Checkpoint that runs beside the student; or `traces`. */
  teacher?: string | undefined;
  /** Folder of what a teacher said and thought: the data, in place of `data`. */
  traces?: string | undefined;
  /** Default: forward KL, of a teacher that runs between whole distributions. */
  objective?: Omit<DistilSpec, 'kind' | 'teacher'> | undefined;
  /** The teacher knows nothing of the data beside the world: it is learned by cross-entropy alone. Default false. */
  untaughtData?: boolean | undefined;
}

/** What brings a student nearest in the same time: `node bench/distil.js`. */
export const DISTIL_SETTINGS = { matrices: 'muon', learningRate: 5e-3 } as const;

/**
 * Writes the new student as a published checkpoint (BF16) into `directory`.
 * @throws QuasarError train.one_teacher; train.vocabulary when teacher and student do not share a tokenizer; as `train`, `openObjective`,
 * `loadCheckpoint`
 */
export async function distil(options: DistilStageOptions): Promise<StageResult> {
  const device = openDevice();
  const checkpoint = loadCheckpoint(options.student, device);
  try {
    const { teacher, traces, data } = options;
    if ((teacher === undefined) === (traces === undefined) || (traces !== undefined && data !== undefined)) {
      throw new QuasarError('train.one_teacher', 'distil: expected a teacher, with data or without, or traces alone', {
        hint: 'give --teacher FOLDER, or --traces FOLDER without --data',
      });
    }
    const objectiveSpec: DistilSpec = { kind: 'distil', teacher, ...options.objective };
    const objective = await openObjective(objectiveSpec, checkpoint, device);
    try {
      const settings = settingsOf(options, DISTIL_SETTINGS);
      const read =
        traces === undefined
          ? await corpusSources(checkpoint.tokenizer, options, settings.T, (source, kind) => {
              if (kind === 'world') return evenlyWeighted(source);
              return options.untaughtData ? withoutTeacher(source) : source;
            })
          : tracedSources(traces, checkpoint.tokenizer);
      const config = teacher === undefined ? null : readConfig(teacher);
      const flopsBeside = config?.ok ? forwardFlopsPerToken(config.value, settings.T) : undefined;
      const parts = { source: read.train, heldOut: read.heldOut, skipped: read.skipped, specs: read.specs };
      const from = await digestOfWeights(checkpoint);
      const stage = { name: 'distill', checkpoint, objective, objectiveSpec, ...parts, settings, flopsBeside, from };
      return await runStage(stage, options);
    } finally {
      objective.dispose?.();
    }
  } finally {
    disposeParameters(checkpoint.parameters);
  }
}

/** @throws QuasarError as `TraceSet.open` and `traceSource` */
function tracedSources(folder: string, tokenizer: Tokenizer): Sources {
  const set = TraceSet.open(folder);
  const heldOut = { traces: traceSource(set, tokenizer, 'held_out') };
  return { train: traceSource(set, tokenizer, 'train'), heldOut, skipped: [] };
}
