/**
 * @file A model's greedy replies to the questions of a round, judged by the tasks that made them.
 *
 * Asking needs the model and nothing else; judging needs the questions and nothing else. So the two can be done by
 * different processes, and the one that holds a miner's model never learns the right answers.
 */
import type { Engine } from '@quasar/infer';
import { encodeChat, type Tokenizer } from '@quasar/model';
import { checkReply } from '@quasar/world';
import type { AxisItem } from '../prompts.ts';
import type { AxisName } from './catalogue.ts';
import type { Conversation } from './conversation.ts';

/** What a model said. */
export interface Reply {
  tokens: Int32Array;
  /** The model ended its turn by itself. */
  finished: boolean;
}

/** A reply, judged. */
export interface Answer extends Reply {
  axis: AxisName;
  /** Wordings of one question of an axis share its number. */
  question: number;
  correct: boolean;
  /** Beyond it a right reply counts less for `reasoning_density`; null: it does not count there. */
  targetTokens: number | null;
  /** What a conversation axis needs beyond the check; see `conversation.ts`. */
  measured?: Conversation | undefined;
}

/** Questions answered in one batch: fixed, because a replay must batch the same way. */
export const REPLY_BATCH = 16;

/** The questions as a model reads them, each ending where the reply begins. */
export function itemPrompts(tokenizer: Tokenizer, items: readonly AxisItem[]): Int32Array[] {
  return items.map(({ item }) => encodeChat(tokenizer, item.messages, { addGenerationPrompt: true }));
}

/**
 * Greedy replies. @param options.maxNewTokens one for all, or one per prompt
 * @throws QuasarError `infer.cancelled`
 */
export async function replyTo(
  engine: Engine,
  prompts: readonly Int32Array[],
  options: {
    maxNewTokens: number | readonly number[];
    signal?: AbortSignal | undefined;
    onProgress?: ((done: number) => void) | undefined;
  },
): Promise<Reply[]> {
  const replies: Reply[] = [];
  const { maxNewTokens, signal } = options;
  const limits = prompts.map((_, i) => (typeof maxNewTokens === 'number' ? maxNewTokens : maxNewTokens[i]!));
  for (let at = 0; at < prompts.length; at += REPLY_BATCH) {
    const batch = prompts.slice(at, at + REPLY_BATCH).map((_, i) => at + i);
    for (const limit of new Set(batch.map((i) => limits[i]!))) {
      const same = batch.filter((i) => limits[i] === limit);
      const asked = same.map((i) => prompts[i]!);
      const completions = await engine.generate(asked, { maxNewTokens: limit, temperature: 0, signal });
      completions.forEach(({ tokens, finishReason }, i) => {
        replies[same[i]!] = { tokens, finished: finishReason === 'stop' };
      });
    }
    options.onProgress?.(at + batch.length);
  }
  return replies;
}

/** @param replies one per item. @param measured one per item, null where nothing was measured */
export function judgeReplies(
  tokenizer: Tokenizer,
  items: readonly AxisItem[],
  replies: readonly Reply[],
  measured: readonly (Conversation | null)[] = [],
): Answer[] {
  return items.map(({ axis, item, question, targetTokens }, i) => {
    const reply = replies[i]!;
    const { correct } = checkReply(item, tokenizer.decode(reply.tokens));
    return { ...reply, axis, question, correct, targetTokens, measured: measured[i] ?? undefined };
  });
}
