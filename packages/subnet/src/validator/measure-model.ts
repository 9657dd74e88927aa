/** @file One model of a round: its KL on the teacher's traces, its answers on the axes, its own text judged by the teacher. */
import {
  absoluteAxes,
  axisItems,
  itemPrompts,
  judgeReplies,
  mean,
  onPolicyRkl,
  pairedDeltas,
  ROLLOUT_BATCH,
  replyTo,
  rolloutRkl,
  scoreTraces,
  teacherReference,
} from '@quasar/evals';
import type { Engine, Trace } from '@quasar/infer';
import type { RoundState } from '../projection.ts';
import { type Submission, TEACHER_ID, TEACHER_UID } from '../rules/submission.ts';
import type { Context } from './context.ts';
import { report } from './progress.ts';

/** What all measurements of a round share. */
export interface Measuring {
  context: Context;
  round: RoundState;
  teacher: Engine;
  traces: Trace[];
}

/** The teacher on the axis questions: the yardstick of relative lengths, and what tells a broken axis. */
export async function measureTeacher({ context, round, teacher }: Measuring): Promise<void> {
  if (round.axes.has(TEACHER_ID)) return;
  const { items, maxNewTokens } = questions(context, round);
  const replies = await replyTo(teacher, itemPrompts(teacher.tokenizer, items), {
    maxNewTokens,
    signal: context.signal,
    onProgress: (done) =>
      report(context, round, {
        ...{ id: TEACHER_ID, uid: TEACHER_UID, repo: TEACHER_ID },
        ...{ phase: 'axes', done, total: items.length },
      }),
  });
  const answers = judgeReplies(teacher.tokenizer, items, replies);
  const reference = teacherReference(answers);
  const axes = absoluteAxes(answers, reference);
  const at = { round: round.round, atBlock: context.atBlock, id: TEACHER_ID };
  context.append({
    type: 'evaluation.measured',
    data: { ...at, part: 'axes', axes, rkl: null, rklPrompts: 0, reference },
    key: `${round.round}:${TEACHER_ID}:axes`,
  });
}

/** Measure what the log does not hold yet. @throws what loading and scoring throw */
export async function measureModel(measuring: Measuring, model: Submission, directory: string): Promise<void> {
  const { context, round } = measuring;
  if (round.kl.has(model.id) && round.axes.has(model.id)) return;
  const mark = (phase: 'load' | 'stopped') =>
    report(context, round, { id: model.id, uid: model.uid, repo: model.repo, phase, done: 0, total: 1 });
  mark('load');
  const engine = await context.loadEngine(directory);
  try {
    if (!round.kl.has(model.id)) await measureKl(measuring, model, engine);
    if (!round.axes.has(model.id)) await measureAxes(measuring, model, engine);
  } catch (error) {
    if (context.signal.aborted) mark('stopped');
    throw error;
  } finally {
    engine.dispose();
  }
}

async function measureKl({ context, round, traces }: Measuring, model: Submission, engine: Engine): Promise<void> {
  const { id, uid, repo } = model;
  const kingKl = id === round.incumbent ? undefined : round.kl.get(round.incumbent)?.perPrompt;
  const { perPrompt } = await scoreTraces(engine, traces, {
    signal: context.signal,
    onProgress: (sofar) => {
      const king = kingKl?.slice(0, sofar.length);
      report(context, round, {
        ...{ id, uid, repo, phase: 'kl', done: sofar.length, total: traces.length },
        challengerKl: mean(sofar),
        ...(king && { kingKl: mean(king), meanDelta: mean(pairedDeltas(king, sofar)) }),
      });
    },
  });
  context.append({
    type: 'evaluation.measured',
    data: { round: round.round, atBlock: context.atBlock, id, part: 'kl', perPrompt },
    key: `${round.round}:${id}:kl`,
  });
}

async function measureAxes(
  { context, round, teacher, traces }: Measuring,
  model: Submission,
  engine: Engine,
): Promise<void> {
  const { id, uid, repo } = model;
  const reference = round.axes.get(TEACHER_ID)?.reference;
  if (!reference) throw new Error('measureAxes: the teacher was not measured first');
  const { items, maxNewTokens } = questions(context, round);
  const replies = await replyTo(engine, itemPrompts(engine.tokenizer, items), {
    maxNewTokens,
    signal: context.signal,
    onProgress: (done) => report(context, round, { id, uid, repo, phase: 'axes', done, total: items.length }),
  });
  const answers = judgeReplies(engine.tokenizer, items, replies);
  const { prompts: count, ...sampling } = context.config.axes.onPolicy;
  const prompts = traces.slice(0, count).map(({ prompt }) => prompt);
  const perPrompt: (number | null)[] = [];
  for (let at = 0; at < prompts.length; at += ROLLOUT_BATCH) {
    const options = { ...sampling, seed: `${round.seedHash}/on-policy/${at}`, signal: context.signal };
    perPrompt.push(...(await rolloutRkl(engine, teacher, prompts.slice(at, at + ROLLOUT_BATCH), options)));
  }
  const { rkl, n } = onPolicyRkl(perPrompt);
  context.append({
    type: 'evaluation.measured',
    data: {
      ...{ round: round.round, atBlock: context.atBlock, id, part: 'axes' },
      ...{ axes: absoluteAxes(answers, reference), rkl, rklPrompts: n },
    },
    key: `${round.round}:${id}:axes`,
  });
}

function questions({ config }: Context, { seedHash }: RoundState) {
  const { specs, maxLevel, maxNewTokens } = config.axes;
  return { items: axisItems(seedHash, specs, maxLevel), maxNewTokens };
}
