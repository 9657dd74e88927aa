/** @file A teacher that reads what the student reads, block by block beside it. */
import { QuasarError } from '@quasar/base';
import { type Checkpoint, type ForwardOutput, forward, ModelState } from '@quasar/model';
import { noGrad } from '@quasar/tensor';
import type { ObjectiveInput } from './objective.ts';

export type Teacher = Pick<Checkpoint, 'config' | 'parameters'>;

/** Of the teacher's tensors in a state that both share. */
const PREFIX = 'teacher/';

/** What the teacher makes of a block; it goes on from its part of the state. */
export function runTeacher(
  { config, parameters }: Teacher,
  { batch, state }: Pick<ObjectiveInput, 'batch' | 'state'>,
  options: { hiddenStates: boolean },
): ForwardOutput {
  const own = state && new ModelState(state.lengths, new Map(partOf(state)));
  return noGrad(() => forward(config, parameters, { ...batch, ...options, state: own }));
}

function* partOf({ tensors }: ModelState) {
  for (const [key, tensor] of tensors) if (key.startsWith(PREFIX)) yield [key.slice(PREFIX.length), tensor] as const;
}

/** The student's state with the teacher's beside it. */
export function withTeacher(student: ModelState, teacher: ModelState): ModelState {
  const tensors = new Map(student.tensors);
  for (const [key, tensor] of teacher.tensors) tensors.set(PREFIX + key, tensor);
  return new ModelState(student.lengths, tensors);
}

/** @throws QuasarError train.vocabulary: one learns from the other token by token */
export function checkVocabulary(teacher: Checkpoint, student: Checkpoint): void {
  const refuse = (what: string) =>
    new QuasarError('train.vocabulary', `distil: ${what}`, { hint: 'teacher and student must share one tokenizer' });
  const [of, to] = [teacher.config.vocab_size, student.config.vocab_size];
  if (of !== to) throw refuse(`the teacher has ${of} tokens, the student ${to}`);
  if (teacher.tokenizer.toJson() !== student.tokenizer.toJson()) throw refuse('the tokenizers differ');
}
