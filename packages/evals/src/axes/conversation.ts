/**
 * @file Conversation axes: would the teacher say this, and is it right?
 *
 *     l      = mean ln p of the reply's tokens and of the end of the turn, under the teacher
 *     likely = min(1, exp(l - l'))     l': the same of the teacher's own greedy reply to the same question
 *     score  = 0 for a reply that is empty, does not end or loops; else the weighted mean of
 *              check 1, likely 1, judge 2, over those of the three that there are
 *
 * `likely` is a ratio of perplexities: 1 for a reply that the teacher finds as natural as its own. Text that pleases by
 * being bland gains nothing beyond that, and a fluent wrong reply gets at most half. An LLM judge is there only where the
 * operator has set one up (`judge/`), and not in a round in which it failed its probes: then its weight goes to the others.
 */
import { QuasarError } from '@quasar/base';
import type { Engine, GivenText } from '@quasar/infer';
import type { Tokenizer } from '@quasar/model';
import type { AxisValue } from '../composite.ts';
import { mean } from '../divergence.ts';
import type { AxisItem } from '../prompts.ts';
import type { Answer, Reply } from './answers.ts';
import { AXES } from './catalogue.ts';
import { hasLoop } from './degeneracy.ts';

/** What was measured about one reply. */
export interface Conversation {
  /** Mean ln p per token under the teacher, nats. */
  logprob: number;
  /** The LLM judge's score in [0, 1]; null without a judge, or without a score that counts. */
  judge: number | null;
}

/** The teacher's own replies: `axis/question` to the mean ln p of its tokens. */
export type ConversationReference = Readonly<Record<string, number>>;

export const CONVERSATION_WEIGHTS = { check: 1, likely: 1, judge: 2 } as const;

/** Replies scored in one call: fixed, because a replay must batch the same way. */
export const CONVERSATION_BATCH = 8;

export function isConversation({ axis }: { axis: Answer['axis'] }): boolean {
  return AXES[axis].kind === 'conversation';
}

/** A reply on a conversation axis as a text for the teacher: where its item stands, and the text that begins with its prompt. */
export interface ConversationText {
  index: number;
  text: GivenText;
}

/** The replies that the teacher is to judge: those with a token, on conversation axes. @param prompts as `itemPrompts` makes them */
export function conversationTexts(
  tokenizer: Tokenizer,
  items: readonly AxisItem[],
  prompts: readonly Int32Array[],
  replies: readonly Reply[],
): ConversationText[] {
  return items.flatMap((item, index) => {
    const { tokens, finished } = replies[index]!;
    const said = finished ? [...tokens, tokenizer.specials.end] : [...tokens];
    const prompt = prompts[index]!;
    if (!isConversation(item) || said.length === 0) return [];
    return [{ index, text: { tokens: Int32Array.from([...prompt, ...said]), from: prompt.length } }];
  });
}

/**
 * Mean ln p per token of each text from its `from` on, nats.
 * @throws QuasarError `evals.not_finite`, `evals.cancelled`
 */
export async function textLogprobs(
  teacher: Engine,
  texts: readonly GivenText[],
  options: { signal?: AbortSignal | undefined } = {},
): Promise<number[]> {
  const logprobs: number[] = [];
  for (let at = 0; at < texts.length; at += CONVERSATION_BATCH) {
    if (options.signal?.aborted) throw new QuasarError('evals.cancelled', 'scoring was cancelled', { retry: 'later' });
    for (const view of await teacher.view(texts.slice(at, at + CONVERSATION_BATCH), 1)) {
      const value = mean([...view.logprobs]);
      if (!Number.isFinite(value))
        throw new QuasarError('evals.not_finite', `the teacher's ln p of a reply is ${value}`, {
          hint: 'The teacher gives infinite or undefined logits. Check its checkpoint.',
        });
      logprobs.push(value);
    }
  }
  return logprobs;
}

/**
 * What is known of each item's reply, for `judgeReplies`; null where nothing was measured.
 * @param logprobs one per text. @param judged one per item, in [0, 1]; null without a score that counts
 */
export function conversationMeasures(
  items: number,
  texts: readonly ConversationText[],
  logprobs: readonly number[],
  judged: readonly (number | null)[] = [],
): (Conversation | null)[] {
  const measured: (Conversation | null)[] = new Array(items).fill(null);
  texts.forEach(({ index }, i) => {
    measured[index] = { logprob: logprobs[i]!, judge: judged[index] ?? null };
  });
  return measured;
}

/** What a teacher's answers give the others to be measured against. */
export function conversationReference(answers: readonly Answer[]): ConversationReference {
  return Object.fromEntries(
    answers.flatMap(({ axis, question, measured }) => (measured ? [[`${axis}/${question}`, measured.logprob]] : [])),
  );
}

/** The value of one conversation axis. */
export function conversation(answers: readonly Answer[], teacher: ConversationReference): AxisValue {
  const n = answers.length;
  const sum = answers.reduce((total, answer) => total + scoreReply(answer, teacher), 0);
  return { value: n === 0 ? 0 : sum / n, n };
}

function scoreReply({ axis, question, tokens, finished, correct, measured }: Answer, teacher: ConversationReference) {
  if (!finished || tokens.length === 0 || hasLoop(tokens)) return 0;
  const own = teacher[`${axis}/${question}`];
  const parts: [weight: number, value: number][] = [[CONVERSATION_WEIGHTS.check, correct ? 1 : 0]];
  if (measured && own !== undefined)
    parts.push([CONVERSATION_WEIGHTS.likely, Math.min(1, Math.exp(measured.logprob - own))]);
  if (measured && measured.judge !== null) parts.push([CONVERSATION_WEIGHTS.judge, measured.judge]);
  const weight = parts.reduce((sum, [each]) => sum + each, 0);
  return parts.reduce((sum, [each, value]) => sum + each * value, 0) / weight;
}
