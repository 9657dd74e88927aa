/** @file One teacher's entries at a position as a row of a `TopK` of ours: known tokens, the rest in the tail. */
import { QuasarError } from '@quasar/base';
import type { TopK } from '../types.ts';
import type { AnswerReport } from './teacher.ts';

/** A token that the teacher named; null: one that we do not have. */
export interface Entry {
  id: number | null;
  /** Nats. */
  logprob: number;
}

/**
 * Log-probability of an entry that only fills a row up: its probability is zero as a float. Such entries are the highest
 * ids that the row does not have, which are special or rare tokens.
 */
export const NO_MASS = -100;

/** Text rounds numbers, and some servers compute in 16 bits. */
const SUM_TOLERANCE = 0.01;

/** The k best known entries, best first, and everything else as the tail. @throws QuasarError infer.teacher_answer */
export function viewRow(entries: readonly Entry[], k: number, vocabSize: number, report: AnswerReport): TopK {
  const best = new Map<number, number>();
  let unknownMass = 0;
  let isUnknown = false;
  for (const { id, logprob } of [...entries].sort((a, b) => b.logprob - a.logprob)) {
    if (id === null) {
      unknownMass += Math.exp(logprob);
      isUnknown = true;
    } else if (best.size < k && logprob > NO_MASS && !best.has(id)) best.set(id, logprob);
  }
  const mass = [...best.values()].reduce((sum, logprob) => sum + Math.exp(logprob), 0);
  if (mass + unknownMass > 1 + SUM_TOLERANCE) {
    const got = `the probabilities of a position add up to ${(mass + unknownMass).toFixed(4)}`;
    throw new QuasarError('infer.teacher_answer', `teacher: ${got}, expected at most 1`, {
      hint: 'the server must report log-probabilities in nats, before temperature',
    });
  }
  for (let id = vocabSize - 1; best.size < k && id >= 0; id--) if (!best.has(id)) best.set(id, NO_MASS);
  report.views++;
  report.viewsWithUnknown += Number(isUnknown);
  report.unknownMass += unknownMass;
  return {
    k,
    ids: Int32Array.from(best.keys()),
    logprobs: Float32Array.from(best.values()),
    tail: Float32Array.of(Math.min(1, Math.max(0, 1 - mass))),
  };
}
