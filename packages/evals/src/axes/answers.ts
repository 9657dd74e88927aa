/** @file A model's greedy replies to the questions of a round, judged by the tasks that made them. */
import type { Engine } from '@quasar/infer';
import { encodeChat } from '@quasar/model';
import { checkReply } from '@quasar/world';
import type { AxisItem } from '../prompts.ts';

export interface Answer {
  axis: string;
  correct: boolean;
  tokens: Int32Array;
  /** The model ended its turn by itself. */
  finished: boolean;
  /** Tokens of a correct reply, the measure for needless words. */
  answerTokens: number;
}

/** Questions answered in one batch: fixed, because a replay must batch the same way. */
const BATCH = 16;

/** @throws QuasarError `infer.cancelled` */
export async function answerItems(
  engine: Engine,
  items: readonly AxisItem[],
  options: { maxNewTokens: number; signal?: AbortSignal | undefined; onProgress?: (done: number) => void },
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const { tokenizer } = engine;
  for (let at = 0; at < items.length; at += BATCH) {
    const batch = items.slice(at, at + BATCH);
    const prompts = batch.map(({ item }) => encodeChat(tokenizer, item.messages, { addGenerationPrompt: true }));
    const completions = await engine.generate(prompts, {
      maxNewTokens: options.maxNewTokens,
      temperature: 0,
      signal: options.signal,
    });
    batch.forEach(({ axis, item }, i) => {
      const { tokens, finishReason } = completions[i]!;
      answers.push({
        axis,
        correct: checkReply(item, tokenizer.decode(tokens)).correct,
        tokens,
        finished: finishReason === 'stop',
        answerTokens: tokenizer.encode(item.answer).length,
      });
    });
    options.onProgress?.(answers.length);
  }
  return answers;
}
