/** @file Stage two: a student learns a teacher's distribution on any data. */
import { QuasarError } from '@quasar/base';
import { type Checkpoint, disposeParameters, loadCheckpoint } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { distilObjective } from '../objectives/objective.ts';
import { forwardFlopsPerToken } from '../runs/costs.ts';
import { corpusSources } from './corpus.ts';
import { runStage, type StageOptions, type StageResult, settingsOf } from './stage.ts';

export interface DistilStageOptions extends StageOptions {
  /** Checkpoint the student starts from. */
  student: string;
  teacher: string;
  /** Teacher entries per position beside the tail. Default 128, as the contest measures. */
  topK?: number | undefined;
  /** Share of cross-entropy in the loss. Default 0.1. */
  ceShare?: number | undefined;
}

/**
 * Writes the new student as a published checkpoint (BF16) into `directory`.
 * @throws QuasarError train.vocabulary when teacher and student do not share a tokenizer; as `train`, `loadCheckpoint`
 */
export async function distil(options: DistilStageOptions): Promise<StageResult> {
  const loaded: Checkpoint[] = [];
  const load = (from: string) => {
    const checkpoint = loadCheckpoint(from, openDevice());
    loaded.push(checkpoint);
    return checkpoint;
  };
  try {
    const [teacher, checkpoint] = [load(options.teacher), load(options.student)];
    checkVocabulary(teacher, checkpoint);
    const settings = settingsOf(options);
    const { train: source, heldOut, skipped } = await corpusSources(checkpoint.tokenizer, options, settings.T);
    const { topK = 128, ceShare = 0.1 } = options;
    const objective = distilObjective(teacher, { topK, ceShare });
    const objectiveSpec = { kind: 'distil', teacher: options.teacher, topK, ceShare } as const;
    const flopsBeside = forwardFlopsPerToken(teacher.config, settings.T);
    const read = { source, heldOut, skipped };
    const stage = { name: 'distill', checkpoint, objective, objectiveSpec, ...read, settings, flopsBeside };
    return await runStage(stage, options);
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
