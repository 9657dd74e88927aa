/**
 * @file What stages of long context read: rows as short as before, and beside them few long ones, whose documents grow from phase
 * to phase and ask at their end for what was said far before.
 */
import { QuasarError } from '@quasar/base';
import type { Tokenizer } from '@quasar/model';
import { recallSource } from '../data/recall.ts';
import { mixture, type Source } from '../data/source.ts';
import type { Lane, TrainSettings } from '../trainer.ts';
import { corpusSources, type Sources } from './corpus.ts';
import type { StageOptions } from './stage.ts';

export interface LongOptions {
  /** Tokens of the long documents, phase by phase, rising; each phase has an equal share of the steps. */
  lengths: readonly number[];
  /** Long rows of a step; each has as many tokens as the longest document. Default 1. */
  longRows?: number | undefined;
  /** Of long rows: gradients end every so many tokens, states are carried on. Default: four short rows. */
  blockTokens?: number | undefined;
  /** Documents per distance that recall is measured on. Default 64. */
  recallDocuments?: number | undefined;
}

export interface LongData {
  source: Source;
  beside: Lane[];
  heldOut: Record<string, Source>;
  skipped: Sources['skipped'];
  specs: Sources['specs'];
  /** With as many short batches in a step as it takes to keep their share. */
  settings: TrainSettings;
  /** What held-out needles lie among. */
  filler: Source;
}

/** Of all tokens stay in rows as short as before: what the model could do at short context is not unlearned. */
export const SHORT_SHARE = 0.7;
/** Of the tokens in short rows, documents of recall. */
const RECALL_SHARE = 0.25;

/** @throws QuasarError train.lengths; data.* */
export async function longData(
  tokenizer: Tokenizer,
  settings: TrainSettings,
  options: LongOptions & Pick<StageOptions, 'data' | 'signal'> & { directory?: string },
): Promise<LongData> {
  const { lengths, longRows = 1, blockTokens = 4 * settings.T } = options;
  checkLengths(lengths, settings.T);
  if (options.data?.specs.some(({ kind }) => kind === 'recall')) {
    throw new QuasarError('data.bad_spec', '--data recall: long rows hold documents of recall already', {
      hint: 'leave recall out',
    });
  }
  const longest = lengths.at(-1) as number;
  const short = await corpusSources(tokenizer, options, settings.T);
  const long = await corpusSources(tokenizer, options, longest);
  const split = 'train' as const;
  const tokens = growing(lengths, (settings.steps * longRows * longest) / lengths.length);
  const enough = Math.ceil((SHORT_SHARE * longRows * longest) / ((1 - SHORT_SHARE) * settings.B * settings.T));
  return {
    source: mixture(
      [
        { source: short.train, weight: 1 - RECALL_SHARE },
        { source: recallSource(tokenizer, { tokens: settings.T, split }, short.train), weight: RECALL_SHARE },
      ],
      settings.T,
    ),
    beside: [
      {
        source: recallSource(tokenizer, { tokens, split }, long.train),
        ...{ B: longRows, T: longest, batches: 1, blockTokens },
      },
    ],
    heldOut: short.heldOut,
    skipped: short.skipped,
    specs: short.specs,
    settings: { ...settings, accumulate: Math.max(settings.accumulate, enough) },
    filler: textOf(long.heldOut),
  };
}

/** The first corpus, or the world where there is none. */
function textOf(heldOut: Record<string, Source>): Source {
  const { world, ...corpora } = heldOut;
  return (Object.values(corpora)[0] ?? world) as Source;
}

/** Length of document n where so many tokens are read of each length. */
export function growing(lengths: readonly number[], tokensPerPhase: number): (n: number) => number {
  return (n) => {
    let before = 0;
    for (const length of lengths) {
      before += Math.ceil(tokensPerPhase / length);
      if (n < before) return length;
    }
    return lengths.at(-1) as number;
  };
}

function checkLengths(lengths: readonly number[], short: number): void {
  const rises = lengths.every((length, i) => length > (lengths[i - 1] ?? short));
  const fits = lengths.every((length) => (lengths.at(-1) as number) % length === 0);
  if (lengths.length > 0 && rises && fits) return;
  throw new QuasarError('train.lengths', `long documents of [${lengths}] tokens beside rows of ${short}`, {
    hint: 'give lengths above that of the rows, in rising order, that divide the last one',
  });
}
