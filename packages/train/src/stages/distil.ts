/** @file Stage two: a student learns a teacher's distribution on the world (and the user's text). */
import { mkdirSync } from 'node:fs';
import { QuasarError } from '@quasar/base';
import { disposeParameters, loadCheckpoint, saveCheckpoint } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { distilObjective } from '../objectives/objective.ts';
import {
  clearResume,
  type Evaluation,
  type StepReport,
  TRAIN_DEFAULTS,
  type TrainSettings,
  train,
} from '../trainer.ts';
import { corpusSources } from './corpus.ts';

export interface DistilStageOptions {
  /** Checkpoint the student starts from. */
  student: string;
  teacher: string;
  /** Receives the new student and, while running, the resume point. */
  directory: string;
  steps: number;
  seed: string;
  dataPath?: string | undefined;
  /** Teacher entries per position beside the tail. Default 128, as the contest measures. */
  topK?: number | undefined;
  /** Share of cross-entropy in the loss. Default 0.1. */
  ceShare?: number | undefined;
  settings?: Partial<TrainSettings> | undefined;
  onStep?: ((report: StepReport) => void) | undefined;
  onEvaluation?: ((evaluation: Evaluation) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** @throws QuasarError train.vocabulary when teacher and student do not share a tokenizer */
export async function distil(options: DistilStageOptions): Promise<{ evaluations: Evaluation[] }> {
  const { directory, steps, seed } = options;
  const device = openDevice();
  const teacher = loadCheckpoint(options.teacher, device);
  const student = loadCheckpoint(options.student, device);
  try {
    if (
      teacher.config.vocab_size !== student.config.vocab_size ||
      teacher.tokenizer.vocabSize !== student.tokenizer.vocabSize
    ) {
      throw new QuasarError(
        'train.vocabulary',
        `distil: teacher has ${teacher.config.vocab_size} tokens, student ${student.config.vocab_size}`,
        {
          hint: 'teacher and student must share one tokenizer',
        },
      );
    }
    const settings: TrainSettings = { ...TRAIN_DEFAULTS, steps, seed, ...options.settings };
    const sources = corpusSources(student.tokenizer, options.dataPath, settings.T);
    mkdirSync(directory, { recursive: true });
    const result = await train({
      checkpoint: student,
      objective: distilObjective(teacher, { topK: options.topK ?? 128, ceShare: options.ceShare ?? 0.1 }),
      source: sources.train,
      heldOut: sources.heldOut,
      settings,
      directory,
      ...(options.onStep ? { onStep: options.onStep } : {}),
      ...(options.onEvaluation ? { onEvaluation: options.onEvaluation } : {}),
      ...(options.signal ? { signal: options.signal } : {}),
    });
    await saveCheckpoint(directory, student, 'BF16', { seed, steps: String(steps), source: sources.train.name });
    clearResume(directory);
    return result;
  } finally {
    disposeParameters(teacher.parameters);
    disposeParameters(student.parameters);
  }
}
