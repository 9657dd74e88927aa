/** @file Stage two: a student learns a teacher's distribution on the world (and the user's text). */
import { QuasarError } from '@quasar/base';
import { type Checkpoint, disposeParameters, loadCheckpoint, saveCheckpoint } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { distilObjective } from '../objectives/objective.ts';
import { clearResume } from '../resume.ts';
import { type Evaluation, type StepReport, TRAIN_DEFAULTS, type TrainSettings, train } from '../trainer.ts';
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

/**
 * Writes the new student as a published checkpoint (BF16) into `directory`.
 * @throws QuasarError train.vocabulary when teacher and student do not share a tokenizer; as `train`, `loadCheckpoint`
 */
export async function distil(options: DistilStageOptions): Promise<{ evaluations: Evaluation[] }> {
  const { directory, steps, seed } = options;
  const loaded: Checkpoint[] = [];
  const load = (from: string) => {
    const checkpoint = loadCheckpoint(from, openDevice());
    loaded.push(checkpoint);
    return checkpoint;
  };
  try {
    const [teacher, student] = [load(options.teacher), load(options.student)];
    checkVocabulary(teacher, student);
    const settings: TrainSettings = { ...TRAIN_DEFAULTS, steps, seed, ...options.settings };
    const sources = corpusSources(student.tokenizer, options.dataPath, settings.T);
    const result = await train({
      checkpoint: student,
      objective: distilObjective(teacher, { topK: options.topK ?? 128, ceShare: options.ceShare ?? 0.1 }),
      source: sources.train,
      heldOut: sources.heldOut,
      settings,
      directory,
      onStep: options.onStep,
      onEvaluation: options.onEvaluation,
      signal: options.signal,
    });
    await saveCheckpoint(directory, student, 'BF16', { seed, steps: String(steps), source: sources.train.name });
    clearResume(directory);
    return result;
  } finally {
    for (const { parameters } of loaded) disposeParameters(parameters);
  }
}

function checkVocabulary(teacher: Checkpoint, student: Checkpoint): void {
  const refuse = (what: string) =>
    new QuasarError('train.vocabulary', `distil: ${what}`, { hint: 'teacher and student must share one tokenizer' });
  const [of, to] = [teacher.config.vocab_size, student.config.vocab_size];
  if (of !== to) throw refuse(`the teacher has ${of} tokens, the student ${to}`);
  if (teacher.tokenizer.toJson() !== student.tokenizer.toJson()) throw refuse('the tokenizers differ');
}
