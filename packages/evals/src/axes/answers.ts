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

/** What a model said. */
export interface Reply {
  tokens: Int32Array;
  /** The model ended its turn by itself. */
  finished: boolean;
}

export interface Answer extends Reply {
  axis: string;
  correct: boolean;
  /** Tokens of a correct reply, the measure for needless words. */
  answerTokens: number;
}

/** Questions answered in one batch: fixed, because a replay must batch the same way. */
export const REPLY_BATCH = 16;

/** The questions as a model reads them, each ending where the reply begins. */
export function itemPrompts(tokenizer: Tokenizer, items: readonly AxisItem[]): Int32Array[] {
  return items.map(({ item }) => encodeChat(tokenizer, item.messages, { addGenerationPrompt: true }));
}

/** Greedy replies. @throws QuasarError `infer.cancelled` */
export async function replyTo(
  engine: Engine,
  prompts: readonly Int32Array[],
  options: {
    maxNewTokens: number;
    signal?: AbortSignal | undefined;
    onProgress?: ((done: number) => void) | undefined;
  },
): Promise<Reply[]> {
  const replies: Reply[] = [];
  const { maxNewTokens, signal } = options;
  for (let at = 0; at < prompts.length; at += REPLY_BATCH) {
    const batch = prompts.slice(at, at + REPLY_BATCH);
    for (const { tokens, finishReason } of await engine.generate(batch, { maxNewTokens, temperature: 0, signal }))
      replies.push({ tokens, finished: finishReason === 'stop' });
    options.onProgress?.(replies.length);
  }
  return replies;
}

/** @param replies one per item */
export function judgeReplies(tokenizer: Tokenizer, items: readonly AxisItem[], replies: readonly Reply[]): Answer[] {
  return items.map(({ axis, item }, i) => {
    const reply = replies[i]!;
    return {
      ...reply,
      axis,
      correct: checkReply(item, tokenizer.decode(reply.tokens)).correct,
      answerTokens: tokenizer.encode(item.answer).length,
    };
  });
}
