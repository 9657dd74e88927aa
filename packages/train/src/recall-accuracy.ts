/** @file How far back a model can recall: greedy answers to documents of recall that wait for so many tokens before they ask. */
import { Rng } from '@quasar/base';
import { Engine } from '@quasar/infer';
import type { Checkpoint } from '@quasar/model';
import { recallDocument } from './data/recall.ts';
import type { Source } from './data/source.ts';

export interface RecallAccuracy {
  /** Tokens between the last needle and the question. */
  distance: number;
  /** Share of questions answered in full. */
  accuracy: number;
  documents: number;
}

export interface RecallAccuracyOptions {
  distances: readonly number[];
  /** Per distance. Default 64. */
  documents?: number | undefined;
  /** What lies between; absent: short sentences. */
  filler?: Source | undefined;
  signal?: AbortSignal | undefined;
}

/** In the wording of tests. The same documents for every model with the same tokenizer. @throws QuasarError infer.cancelled */
export async function recallAccuracy(
  { config, parameters, tokenizer }: Checkpoint,
  { distances, documents = 64, filler, signal }: RecallAccuracyOptions,
): Promise<RecallAccuracy[]> {
  const [any] = parameters.values();
  if (!any) return [];
  const engine = new Engine(config, parameters, tokenizer, any.device);
  const results: RecallAccuracy[] = [];
  for (const distance of distances) {
    const reader = filler?.open(`recall/${distance}`);
    const asked = Array.from({ length: documents }, (_, i) => {
      const options = { size: { distance }, split: 'test' } as const;
      const { ids, answers } = recallDocument(tokenizer, new Rng(`recall/${distance}/${i}`), options, reader);
      const [{ from, length }] = answers as [{ from: number; length: number }];
      return { prompt: ids.slice(0, from), answer: ids.subarray(from, from + length) };
    });
    const maxNewTokens = Math.max(...asked.map(({ answer }) => answer.length));
    const prompts = asked.map(({ prompt }) => prompt);
    const given = await engine.generate(prompts, { maxNewTokens, temperature: 0, signal });
    const right = asked.filter(({ answer }, i) => answer.every((id, j) => given[i]?.tokens[j] === id));
    results.push({ distance, accuracy: right.length / documents, documents });
  }
  return results;
}
