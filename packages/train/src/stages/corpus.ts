/** @file What a stage reads: the world, and the user's text where there is one; held-out sets of both. */
import type { Tokenizer } from '@quasar/model';
import { mixture, type Source, textSource, worldSource } from '../data/source.ts';
import { loadCorpus } from '../data/text-files.ts';

export interface Sources {
  train: Source;
  heldOut: Record<string, Source>;
}

/** @throws QuasarError data.* when `dataPath` is not usable text */
export function corpusSources(tokenizer: Tokenizer, dataPath: string | undefined, windowTokens: number): Sources {
  const world = worldSource(tokenizer);
  if (dataPath === undefined) return { train: world, heldOut: { world } };
  const corpus = loadCorpus(dataPath, tokenizer);
  const text = textSource('text', corpus.train, windowTokens);
  return {
    train: mixture([
      { source: world, weight: 1 },
      // A text window is as long as three or four conversations: about a third of the tokens are text.
      { source: text, weight: 0.12 },
    ]),
    heldOut: { world, text: textSource('text', corpus.heldOut, windowTokens) },
  };
}
