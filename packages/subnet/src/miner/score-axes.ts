/**
 * @file The axes at home: teacher, base student and a model on the validator's questions, with a seed of your own. Relative
 * axes are left out: they need the other models of a round (`previewDuel` gives the KL).
 */
import {
  type AxisItem,
  type AxisValue,
  absoluteAxes,
  axisItems,
  brokenAxes,
  type Composite,
  type Conversation,
  composeAxes,
  conversationMeasures,
  conversationTexts,
  isConversation,
  itemPrompts,
  type JudgeRound,
  judgeReplies,
  type LlmJudge,
  type Reply,
  replyTo,
  teacherReference,
  textLogprobs,
} from '@quasar/evals';
import { Engine } from '@quasar/infer';
import { axisQuestions } from '../rules/axes.ts';
import type { SubnetConfig } from '../rules/config.ts';

export interface ScoreAxesOptions {
  directory: string;
  teacherDirectory: string;
  /** The base student: what tells a broken axis where the rules ask for it. */
  baseDirectory: string;
  config: SubnetConfig;
  /** The real seed is a block hash that nobody knows yet. */
  seed: string;
  /** Default: none. */
  judge?: LlmJudge | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((who: Scored, done: number, total: number) => void) | undefined;
}

export type Scored = 'teacher' | 'base' | 'model';

export interface ScoredAxes {
  model: Composite;
  base: Composite;
  teacher: Record<string, AxisValue>;
  /** Axes that measure nothing: the teacher fails them, or the base has nothing. */
  broken: string[];
  /** Null without a judge; `broken` says why its scores do not count. */
  judge: Pick<JudgeRound, 'broken'> | null;
}

const WHO: readonly Scored[] = ['teacher', 'base', 'model'];

/** Questions with known answers that a judge is tried on. */
const PROBES = 3;

/** @throws QuasarError as `Engine.load`; infer.cancelled, evals.* */
export async function scoreAxes(options: ScoreAxesOptions): Promise<ScoredAxes> {
  const { config, seed, judge, signal } = options;
  const items = axisItems(seed, axisQuestions(config.axes), config.axes.wording);
  const directories = [options.teacherDirectory, options.baseDirectory, options.directory];
  const teacher = await Engine.load(options.teacherDirectory);
  try {
    const { tokenizer } = teacher;
    const prompts = itemPrompts(tokenizer, items);
    const maxNewTokens = items.map((item) => item.maxNewTokens);
    const replies: Reply[][] = [];
    for (const [i, who] of WHO.entries()) {
      const onProgress = (done: number) => options.onProgress?.(who, done, items.length);
      const ask = (engine: Engine) => replyTo(engine, prompts, { maxNewTokens, signal, onProgress });
      replies.push(await (who === 'teacher' ? ask(teacher) : withEngine(directories[i]!, ask)));
    }
    const said = replies.map((own) => own.map(({ tokens }) => tokenizer.decode(tokens)));
    const judged = judge ? await judgeAll(judge, items, said, seed, signal) : null;
    const measured: (Conversation | null)[][] = [];
    for (const [i, own] of replies.entries()) {
      const texts = conversationTexts(tokenizer, items, prompts, own);
      const logprobs = await textLogprobs(
        teacher,
        texts.map(({ text }) => text),
        { signal },
      );
      measured.push(conversationMeasures(items.length, texts, logprobs, judged?.scores[i]));
    }
    const answers = replies.map((own, i) => judgeReplies(tokenizer, items, own, measured[i]));
    const reference = teacherReference(answers[0]!);
    const [teacherAxes, baseAxes, modelAxes] = answers.map((own) => absoluteAxes(own, reference) as Values);
    const specs = config.axes.specs.map((spec) => ({ ...spec, relative: false }));
    const broken = brokenAxes(specs, teacherAxes!, baseAxes!, config.axes.broken);
    return {
      model: composeAxes(specs, modelAxes!, broken),
      base: composeAxes(specs, baseAxes!, broken),
      teacher: teacherAxes!,
      broken: [...broken],
      judge: judged && { broken: judged.broken },
    };
  } finally {
    teacher.dispose();
  }
}

type Values = Record<string, AxisValue>;

/** The conversation replies of all three in one round of the judge: when it breaks, it breaks for all. */
async function judgeAll(
  judge: LlmJudge,
  items: readonly AxisItem[],
  said: readonly string[][],
  seed: string,
  signal: AbortSignal | undefined,
): Promise<{ scores: (number | null)[][]; broken: string | null }> {
  const asked = items.flatMap((item, i) => (isConversation(item) ? [i] : []));
  const questions = said.flatMap((own) => asked.map((i) => ({ messages: items[i]!.item.messages, reply: own[i]! })));
  const probes = asked.slice(0, PROBES).map((i) => items[i]!.item);
  const { scores, broken } = await judge.round(questions, { seed, probes, signal });
  const perModel = said.map((_, model) => {
    const all: (number | null)[] = items.map(() => null);
    asked.forEach((index, i) => {
      all[index] = scores[model * asked.length + i]!;
    });
    return all;
  });
  return { scores: perModel, broken };
}

async function withEngine<T>(directory: string, use: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = await Engine.load(directory);
  try {
    return await use(engine);
  } finally {
    engine.dispose();
  }
}
