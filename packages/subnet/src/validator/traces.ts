/** @file The teacher's traces of a round: made by evaluators, kept in the queue, thrown away with the round. */
import { duelPrompts } from '@quasar/evals';
import type { Tokenizer } from '@quasar/model';
import { UNIT_ROWS, UNITS_VERSION, type Unit, type UnitResult } from '../evaluation/units.ts';
import type { RoundState } from '../projection.ts';
import type { SubnetConfig } from '../rules/config.ts';
import { TEACHER_ID, TEACHER_UID } from '../rules/submission.ts';
import type { Measuring } from './measure-model.ts';
import { report } from './progress.ts';

/** The prompts of the round, for every model the same: those of a duel, or fewer when nobody wants one. */
export function roundPrompts(
  { seedHash, candidates }: RoundState,
  { duel, revalidation }: SubnetConfig,
  tokenizer: Tokenizer,
): Int32Array[] {
  const count = candidates.length === 0 && revalidation ? revalidation.prompts : duel.prompts;
  return duelPrompts(seedHash, tokenizer, { count, maxPromptTokens: duel.maxPromptTokens });
}

/** @returns blobs of consecutive prompts */
export async function roundTraces(
  { context, round, jobs }: Pick<Measuring, 'context' | 'round' | 'jobs'>,
  prompts: readonly Int32Array[],
): Promise<UnitResult<'traces'>[]> {
  const { continuationTokens, topK, temperature, topP } = context.config.duel;
  const sampling = { continuationTokens, topK, temperature, topP, seed: `${round.seedHash}/trace` };
  const from = shards(prompts.length, UNIT_ROWS.traces);
  const units = from.map(
    (at): Extract<Unit, { kind: 'traces' }> => ({
      ...{ kind: 'traces', version: UNITS_VERSION, model: context.evaluation.teacher, from: at },
      ...{ prompts: prompts.slice(at, at + UNIT_ROWS.traces), ...sampling },
    }),
  );
  const said = (done: number) =>
    report(context, round, {
      ...{ id: TEACHER_ID, uid: TEACHER_UID, repo: TEACHER_ID },
      ...{ phase: 'traces', done, total: prompts.length },
    });
  said(0);
  return jobs.results('teacher', units, from, (sofar) =>
    said(sofar.reduce((sum, result) => sum + (result?.rows ?? 0), 0)),
  );
}

/** First rows of the units that `count` rows are cut into. */
export function shards(count: number, rows: number): number[] {
  return Array.from({ length: Math.ceil(count / rows) }, (_, i) => i * rows);
}
