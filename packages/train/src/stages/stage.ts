/** @file What all stages share: options, training in the run's folder, the checkpoint at the end. */
import { QuasarError } from '@quasar/base';
import { type Checkpoint, saveCheckpoint } from '@quasar/model';
import type { SkippedData } from '../data/usable.ts';
import type { ObjectiveSpec } from '../objectives/spec.ts';
import { workerCompute } from '../parallel/workers.ts';
import { clearResume } from '../resume.ts';
import type { RunEvent } from '../runs/events.ts';
import type { FlagValues } from '../runs/run-folder.ts';
import { RunRecorder } from '../runs/run-recorder.ts';
import {
  type Evaluation,
  type Incident,
  type StepReport,
  TRAIN_DEFAULTS,
  type TrainRun,
  type TrainSettings,
  train,
} from '../trainer.ts';
import type { StageData } from './corpus.ts';

export interface StageOptions {
  /** Receives the checkpoint; what belongs to the run alone is kept in its `run` folder. */
  directory: string;
  steps: number;
  seed: string;
  /** What to read; default: the world. */
  data?: StageData | undefined;
  /** Over the defaults of the trainer and of the stage. */
  settings?: Partial<TrainSettings> | undefined;
  recompute?: boolean | undefined;
  /** Processes that compute gradients, which changes no bit; default: this one alone. */
  workers?: number | undefined;
  onStep?: ((report: StepReport) => unknown) | undefined;
  onEvaluation?: ((evaluation: Evaluation) => void) | undefined;
  onIncident?: ((incident: Incident) => void) | undefined;
  /** Everything that the run's log gets, in order. */
  onEvent?: ((event: RunEvent) => void) | undefined;
  /** Of the verb that was called: what `run.json` says besides the settings. */
  flags?: FlagValues | undefined;
  signal?: AbortSignal | undefined;
}

export interface StageResult {
  evaluations: Evaluation[];
}

/** The settings of a stage: the trainer's defaults, the stage's own, the user's. */
export function settingsOf(options: StageOptions, own: Partial<TrainSettings> = {}): TrainSettings {
  const { steps, seed } = options;
  return { ...TRAIN_DEFAULTS, ...own, steps, seed, ...options.settings };
}

/** What a stage adds to its options: model, objective, data. */
export type Stage = Pick<
  TrainRun,
  'checkpoint' | 'objective' | 'source' | 'beside' | 'heldOut' | 'settings' | 'positional' | 'from'
> & {
  /** What is read, as `--data` takes it. */
  specs?: string[] | undefined;
  /** What was passed over in the data. */
  skipped?: readonly SkippedData[] | undefined;
  /** Of `objective`, for worker processes. */
  objectiveSpec: ObjectiveSpec;
  /** The verb. */
  name: string;
  /** Operations per token of what runs beside the model: a teacher. */
  flopsBeside?: number | undefined;
  /** Writes the result; default: a checkpoint with weights in BF16. */
  save?: ((directory: string, checkpoint: Checkpoint, metadata: Record<string, string>) => Promise<void>) | undefined;
};

/**
 * Trains, from the run's resume point where there is one, and writes the checkpoint; the run's folder tells how it went.
 * @throws QuasarError train.run_active; as `train`
 */
export async function runStage(stage: Stage, options: StageOptions): Promise<StageResult> {
  const { directory, steps, seed, recompute, workers = 1, signal } = options;
  const { save = saveBf16, name, flopsBeside, objectiveSpec, skipped: _skipped, specs: _specs, ...run } = stage;
  const recorder = await RunRecorder.open(stage, options);
  try {
    const folder = recorder.folder.root;
    const compute: TrainRun['compute'] = (trainee, optimizer) =>
      workerCompute(trainee, optimizer, { workers, objective: objectiveSpec });
    const result = await train({
      ...{ ...run, ...recorder.hooks, recompute, signal, directory: folder },
      compute: workers > 1 ? compute : undefined,
    });
    try {
      await save(directory, run.checkpoint, { seed, steps: String(steps), source: run.source.name });
    } catch (error) {
      throw saveFailed(directory, error);
    }
    clearResume(folder);
    recorder.finished();
    return result;
  } catch (error) {
    recorder.failed(error);
    throw error;
  } finally {
    recorder.close();
  }
}

/** The trained weights are gone with the process, the resume point is not. */
function saveFailed(directory: string, error: unknown): unknown {
  if (error instanceof QuasarError) return error;
  return new QuasarError(
    'train.save_failed',
    `the checkpoint ${directory} could not be written: ${(error as Error).message}`,
    {
      hint: 'make room on the disk and run the same command again: it goes on from the last resume point',
      retry: 'later',
      cause: error,
    },
  );
}

function saveBf16(directory: string, checkpoint: Checkpoint, metadata: Record<string, string>): Promise<void> {
  return saveCheckpoint(directory, checkpoint, 'BF16', metadata);
}
