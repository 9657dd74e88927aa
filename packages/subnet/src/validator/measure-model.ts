/** @file One model of a round: its KL on the teacher's traces, its answers on the axes, its own text judged by the teacher. */
import {
  type Answer,
  absoluteAxes,
  axisItems,
  type ConversationText,
  conversationMeasures,
  conversationTexts,
  itemPrompts,
  judgeReplies,
  mean,
  onPolicyRkl,
  pairedDeltas,
  type SequentialVerdict,
  sequentialVerdict,
  teacherReference,
} from '@quasar/evals';
import type { Tokenizer } from '@quasar/model';
import type { UnitSource } from '../evaluation/dispatch.ts';
import type { Evaluation } from '../evaluation/evaluation.ts';
import { type ModelRef, UNIT_ROWS, UNITS_VERSION, type Unit, type UnitResult } from '../evaluation/units.ts';
import type { EvaluationProgress } from '../events.ts';
import type { RoundState } from '../projection.ts';
import { axisQuestions } from '../rules/axes.ts';
import { type Entrant, TEACHER_ID, TEACHER_UID } from '../rules/submission.ts';
import type { Context } from './context.ts';
import { skipsAxes } from './judge-round.ts';
import { report } from './progress.ts';
import { shards } from './traces.ts';

/** Units of a challenger's duel between two looks: enough for two evaluators, and for the first prompts that can decide. */
const STAGE_UNITS = 2;

/** What measuring takes of a validator; a replay has its own. */
export interface Bench extends Pick<Context, 'config' | 'atBlock' | 'append'> {
  evaluation: Pick<Evaluation, 'teacher'>;
}

/** What all measurements of a round share. */
export interface Measuring {
  context: Bench;
  round: RoundState;
  jobs: UnitSource;
  tokenizer: Tokenizer;
  /** Of the duel. */
  prompts: readonly Int32Array[];
  /** Blobs of consecutive prompts. */
  traces: readonly UnitResult<'traces'>[];
}

/** A model and where it comes from. */
export interface Measured extends Pick<Entrant, 'uid' | 'repo'> {
  id: string;
  model: ModelRef;
}

/** The teacher on the axis questions: the yardstick of relative lengths, and what tells a broken axis. */
export async function measureTeacher(measuring: Measuring): Promise<void> {
  const { context, round } = measuring;
  if (round.axes.has(TEACHER_ID)) return;
  const teacher = { id: TEACHER_ID, uid: TEACHER_UID, repo: TEACHER_ID, model: context.evaluation.teacher };
  const answers = await answersOf(measuring, teacher);
  const reference = teacherReference(answers);
  const axes = absoluteAxes(answers, reference);
  const at = { round: round.round, atBlock: context.atBlock, id: TEACHER_ID };
  context.append({
    type: 'evaluation.measured',
    data: { ...at, part: 'axes', axes, rkl: null, rklPrompts: 0, reference },
    key: `${round.round}:${TEACHER_ID}:axes`,
  });
}

/**
 * Measure the KL unless the log holds it already; of a challenger, once the king is measured, up to where its duel is
 * decided. A few prompts more than that change nothing (judge-round.ts), so validators may look at different places.
 * @throws UnitFailure
 */
export async function measureKl(measuring: Measuring, one: Measured): Promise<void> {
  const { context, round, jobs, traces } = measuring;
  if (round.kl.has(one.id)) return;
  const units = traces.map(
    ({ traces: blob, rows, tokens }): Extract<Unit, { kind: 'kl' }> => ({
      ...{ kind: 'kl', version: UNITS_VERSION, model: one.model, traces: blob, rows, tokens },
    }),
  );
  const total = traces.reduce((sum, { rows }) => sum + rows, 0);
  const said = (sofar: readonly number[]) => {
    const kingKl = one.id === round.incumbent ? undefined : round.kl.get(round.incumbent)?.perPrompt;
    const king = kingKl?.slice(0, sofar.length);
    const isPaired = king !== undefined && king.length === sofar.length && sofar.length > 0;
    tell(context, round, one, {
      ...{ phase: 'kl', done: sofar.length, total },
      ...(sofar.length > 0 && { challengerKl: mean(sofar) }),
      ...(isPaired && { kingKl: mean(king), meanDelta: mean(pairedDeltas(king, sofar)) }),
    });
  };
  said([]);
  const from = shards(total, UNIT_ROWS.kl);
  const isStaged = round.candidates.includes(one.id) && round.kl.has(round.incumbent) && context.config.duel.sequential;
  const stage = isStaged ? STAGE_UNITS : units.length;
  const results: UnitResult<'kl'>[] = [];
  const perPrompt = () => results.flatMap((result) => result.perPrompt);
  for (let at = 0; at < units.length && !(isStaged && duelSoFar(measuring, perPrompt()).decided); at += stage) {
    const before = perPrompt();
    const next = await jobs.results(one.id, units.slice(at, at + stage), from.slice(at, at + stage), (sofar) => {
      const gap = sofar.indexOf(undefined);
      said([...before, ...sofar.slice(0, gap < 0 ? undefined : gap).flatMap((result) => result!.perPrompt)]);
    });
    results.push(...next);
  }
  context.append({
    type: 'evaluation.measured',
    data: {
      ...{ round: round.round, atBlock: context.atBlock, id: one.id, part: 'kl' },
      perPrompt: perPrompt(),
      blobs: results.map(({ perToken }, i) => ({ traces: traces[i]!.traces, perToken })),
    },
    key: `${round.round}:${one.id}:kl`,
  });
}

/** All that a verdict needs of a challenger; king and teacher were measured before. @throws UnitFailure */
export async function measureChallenger(measuring: Measuring, one: Measured): Promise<void> {
  await measureKl(measuring, one);
  if (!needsNoAxes(measuring, one)) await measureAxes(measuring, one);
}

/** Whether the verdict goes without the axes of a challenger. */
function needsNoAxes(measuring: Measuring, { id }: Measured): boolean {
  const verdict = duelSoFar(measuring, measuring.round.kl.get(id)?.perPrompt ?? []);
  return skipsAxes(measuring.context.config, { verdict });
}

function duelSoFar({ context, round }: Measuring, challenger: readonly number[]): SequentialVerdict {
  const king = round.kl.get(round.incumbent)?.perPrompt ?? [];
  const deltas = pairedDeltas(king.slice(0, challenger.length), challenger);
  return sequentialVerdict(deltas, { ...context.config.duel, prompts: king.length });
}

/** Measure the axes unless the log holds them already; the teacher was measured before. @throws UnitFailure */
export async function measureAxes(measuring: Measuring, one: Measured): Promise<void> {
  const { context, round } = measuring;
  if (round.axes.has(one.id)) return;
  const reference = round.axes.get(TEACHER_ID)?.reference;
  if (!reference) throw new Error('measureAxes: the teacher was not measured first');
  const [answers, { rkl, n }] = await Promise.all([answersOf(measuring, one), rolloutsOf(measuring, one)]);
  context.append({
    type: 'evaluation.measured',
    data: {
      ...{ round: round.round, atBlock: context.atBlock, id: one.id, part: 'axes' },
      ...{ axes: absoluteAxes(answers, reference), rkl, rklPrompts: n },
    },
    key: `${round.round}:${one.id}:axes`,
  });
}

/** Greedy replies to the questions of the axes, judged; what the teacher thinks of those in a conversation is part of it. */
async function answersOf(measuring: Measuring, one: Measured): Promise<Answer[]> {
  const { context, round, jobs, tokenizer } = measuring;
  const { axes } = context.config;
  const items = axisItems(round.seedHash, axisQuestions(axes), axes.wording);
  const prompts = itemPrompts(tokenizer, items);
  const from = shards(prompts.length, UNIT_ROWS.answers);
  const units = from.map((at): Extract<Unit, { kind: 'answers' }> => {
    const rows = items.slice(at, at + UNIT_ROWS.answers);
    return {
      ...{ kind: 'answers', version: UNITS_VERSION, model: one.model },
      prompts: prompts.slice(at, at + rows.length),
      maxNewTokens: rows.map(({ maxNewTokens }) => maxNewTokens),
    };
  });
  const results = await jobs.results(one.id, units, from, (sofar) => {
    const done = sofar.reduce((sum, result) => sum + (result?.replies.length ?? 0), 0);
    tell(context, round, one, { phase: 'axes', done, total: items.length });
  });
  const replies = results.flatMap((result) => result.replies);
  const texts = conversationTexts(tokenizer, items, prompts, replies);
  const logprobs = await likelihoodsOf(measuring, one, texts);
  return judgeReplies(tokenizer, items, replies, conversationMeasures(items.length, texts, logprobs));
}

/** What the teacher thinks of replies, ln p per token. */
async function likelihoodsOf({ context, jobs }: Measuring, { id }: Measured, texts: readonly ConversationText[]) {
  const from = shards(texts.length, UNIT_ROWS.likelihood);
  const units = from.map((at): Extract<Unit, { kind: 'likelihood' }> => {
    const rows = texts.slice(at, at + UNIT_ROWS.likelihood);
    return {
      ...{ kind: 'likelihood', version: UNITS_VERSION, model: context.evaluation.teacher },
      prompts: rows.map(({ text }) => text.tokens),
      starts: rows.map(({ text }) => text.from),
    };
  });
  return (await jobs.results(id, units, from)).flatMap(({ logprobs }) => logprobs);
}

async function rolloutsOf({ context, round, jobs, prompts }: Measuring, { id, model }: Measured) {
  const { prompts: count, ...sampling } = context.config.axes.onPolicy;
  const first = prompts.slice(0, count);
  const from = shards(first.length, UNIT_ROWS.rollouts);
  const units = from.map(
    (at): Extract<Unit, { kind: 'rollouts' }> => ({
      ...{
        kind: 'rollouts',
        version: UNITS_VERSION,
        model,
        teacher: context.evaluation.teacher,
        from: at,
        ...sampling,
      },
      ...{ prompts: first.slice(at, at + UNIT_ROWS.rollouts), seed: `${round.seedHash}/on-policy` },
    }),
  );
  const results = await jobs.results(id, units, from);
  return onPolicyRkl(results.flatMap(({ perPrompt }) => perPrompt));
}

function tell(
  context: Bench,
  round: RoundState,
  { id, uid, repo }: Measured,
  progress: Omit<EvaluationProgress, 'round' | 'atBlock' | 'id' | 'uid' | 'repo'>,
): void {
  report(context, round, { id, uid, repo, ...progress });
}
