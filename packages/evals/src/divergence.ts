/**
 * @file How far a student's next-token distribution is from the teacher's, in nats, float64 throughout.
 *
 * The duel metric is the forward KL over the teacher's top k tokens plus one bucket for everything else:
 *
 *     KL = sum_{i in top k} p_i ln(p_i / q_i)  +  p_T ln(p_T / q_T),   p_T = 1 - sum p_i,  q_T = 1 - sum q_i
 *
 * It never exceeds the full KL (log-sum inequality) and equals it when the two tails are proportional. The older
 * `conditional` form renormalises both sides over the top k and cannot see mass outside it; it stays here as the
 * reference that shows why. Source: subnet.md section 10, architecture.md section 6.1.
 *
 * Left out: batching over positions. `Engine.scoreTopK` computes the same number inside the model's last layer.
 */
import { QuasarError } from '@quasar/base';

/** Below this teacher mass the tail says nothing that float32 traces can carry, and its term is dropped. */
export const MIN_TAIL_MASS = 1e-7;

/** The teacher at one position: its k most likely tokens and the probability mass of all the others. */
export interface TeacherPosition {
  /** Distinct token ids. */
  ids: ArrayLike<number>;
  /** Natural log probabilities under the full softmax, one per id. */
  logprobs: ArrayLike<number>;
  /** 1 - sum exp(logprobs). */
  tailMass: number;
}

export interface TailBucketKl {
  /** `top + tail`, nats. */
  kl: number;
  top: number;
  tail: number;
  /** p_T and q_T. */
  teacherTailMass: number;
  studentTailMass: number;
}

/** ln sum exp(values) without overflow; -Infinity for no values. */
export function logSumExp(values: ArrayLike<number>): number {
  let max = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i]! > max) max = values[i]!;
  if (max === -Infinity) return -Infinity;
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.exp(values[i]! - max);
  return max + Math.log(sum);
}

/** Ids of the k largest logits, largest first; equal logits in id order. */
export function topIds(logits: ArrayLike<number>, k: number): number[] {
  const ids = Array.from({ length: logits.length }, (_, id) => id);
  return ids.sort((a, b) => logits[b]! - logits[a]! || a - b).slice(0, k);
}

/** What a teacher with these logits would send for one position. */
export function teacherPosition(logits: ArrayLike<number>, k: number): TeacherPosition {
  const ids = topIds(logits, k);
  const all = logSumExp(logits);
  return {
    ids,
    logprobs: ids.map((id) => logits[id]! - all),
    tailMass: Math.exp(logSumExp(without(logits, ids)) - all),
  };
}

/**
 * Tail-bucket KL(teacher || student) at one position.
 *
 * ln q_T is a logsumexp over the logits outside the top k: `log(1 - sum q)` loses every digit when the tail is thin.
 *
 * @param studentLogits the full row, [vocabulary]
 * @throws QuasarError `evals.bad_top_k` when an id lies outside the vocabulary or appears twice
 */
export function tailBucketKl(teacher: TeacherPosition, studentLogits: ArrayLike<number>): TailBucketKl {
  checkIds(teacher.ids, studentLogits.length);
  const all = logSumExp(studentLogits);
  const logTail = logSumExp(without(studentLogits, teacher.ids)) - all;
  let top = 0;
  for (let i = 0; i < teacher.ids.length; i++) {
    const logP = teacher.logprobs[i]!;
    if (logP > -Infinity) top += Math.exp(logP) * (logP - (studentLogits[teacher.ids[i]!]! - all));
  }
  const p = teacher.tailMass;
  const tail = p < MIN_TAIL_MASS ? 0 : p * (Math.log(p) - logTail);
  return { kl: top + tail, top, tail, teacherTailMass: p, studentTailMass: Math.exp(logTail) };
}

/** KL over the whole vocabulary: the value that `tailBucketKl` bounds from below. */
export function fullKl(teacherLogits: ArrayLike<number>, studentLogits: ArrayLike<number>): number {
  return klOverIds(
    teacherLogits,
    studentLogits,
    Array.from({ length: teacherLogits.length }, (_, id) => id),
  );
}

/** KL after renormalising both sides over the teacher's top k. Blind to the tail: never used for a verdict. */
export function conditionalKl(teacherLogits: ArrayLike<number>, studentLogits: ArrayLike<number>, k: number): number {
  return klOverIds(teacherLogits, studentLogits, topIds(teacherLogits, k));
}

/** Arithmetic mean; NaN for no values, so that an empty measurement can never pass a comparison. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

function klOverIds(teacherLogits: ArrayLike<number>, studentLogits: ArrayLike<number>, ids: number[]): number {
  const t = ids.map((id) => teacherLogits[id]!);
  const s = ids.map((id) => studentLogits[id]!);
  const [allT, allS] = [logSumExp(t), logSumExp(s)];
  let kl = 0;
  for (let i = 0; i < ids.length; i++) {
    const logP = t[i]! - allT;
    if (logP > -Infinity) kl += Math.exp(logP) * (logP - (s[i]! - allS));
  }
  return kl;
}

function without(logits: ArrayLike<number>, ids: ArrayLike<number>): number[] {
  const skip = new Set(Array.from(ids));
  return Array.from(logits).filter((_, id) => !skip.has(id));
}

function checkIds(ids: ArrayLike<number>, vocabularySize: number): void {
  const seen = new Set<number>();
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    if (!Number.isInteger(id) || id < 0 || id >= vocabularySize || seen.has(id))
      throw new QuasarError(
        'evals.bad_top_k',
        `teacher top-k: got id ${id} at rank ${i}, expected distinct ids below ${vocabularySize}`,
        { hint: 'The trace was made with another vocabulary. Make the teacher traces again.' },
      );
    seen.add(id);
  }
}
