/**
 * @file How well a model predicts a text that it was not trained on: bits per byte of the whole text, so that models of different
 * vocabularies compare. Long documents are read in windows that overlap by half: each prediction counts once and, but for the first
 * ones of a document, with at least half a window before it, whether or not a model could read more.
 */
import { QuasarError } from '@quasar/base';
import type { Checkpoint } from '@quasar/model';
import { measure } from './compute.ts';
import { type Batch, weightOf } from './data/batch.ts';
import { crossEntropyObjective } from './objectives/objective.ts';

/** Tokenised documents; a `DocumentTable` is one. */
export interface ScoredText {
  documents: number;
  tokens: number;
  /** Bytes of text per token that is predicted: every token but the first of its document. */
  bytesPerToken: number;
  length(document: number): number;
  /** Tokens [from, to). */
  read(document: number, from: number, to: number): { ids: Int32Array };
}

/** The documents of all, one text after the other. */
export function joinTexts(texts: readonly ScoredText[]): ScoredText {
  const [first] = texts;
  if (first && texts.length === 1) return first;
  const sum = (of: (text: ScoredText) => number) => texts.reduce((total, text) => total + of(text), 0);
  const tokens = sum((text) => text.tokens);
  const documents = sum((text) => text.documents);
  const find = (document: number): [ScoredText, number] => {
    let left = document;
    for (const text of texts) {
      if (left < text.documents) return [text, left];
      left -= text.documents;
    }
    throw new RangeError(`document ${document} of ${documents}`);
  };
  return {
    documents,
    tokens,
    bytesPerToken: sum((text) => text.bytesPerToken * (text.tokens - text.documents)) / Math.max(1, tokens - documents),
    length(document) {
      const [text, at] = find(document);
      return text.length(at);
    },
    read(document, from, to) {
      const [text, at] = find(document);
      return text.read(at, from, to);
    },
  };
}

export interface BitsPerByte {
  bitsPerByte: number;
  /** What was counted. */
  predictions: number;
  bytes: number;
}

export interface BitsPerByteOptions {
  /** Tokens of a window, even, and windows of a batch. */
  T: number;
  B: number;
  /** Called after each batch with the predictions so far. */
  onProgress?: ((done: number, total: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** @throws QuasarError train.cancelled */
export async function bitsPerByte(
  checkpoint: Checkpoint,
  text: ScoredText,
  { T, B, onProgress, signal }: BitsPerByteOptions,
): Promise<BitsPerByte> {
  const trainee = { checkpoint, objective: crossEntropyObjective() };
  const predictions = text.tokens - text.documents;
  let [nats, done] = [0, 0];
  for (const batch of scoredWindows(text, B, T)) {
    if (signal?.aborted) {
      const message = `evaluation stopped after ${done} of ${predictions} predictions`;
      throw new QuasarError('train.cancelled', message, { hint: 'run the same command again', retry: 'later' });
    }
    const count = weightOf(batch);
    const { ce } = await measure(trainee, [{ batch }]);
    nats += (ce as number) * count;
    done += count;
    onProgress?.(done, predictions);
  }
  const bytes = Math.round(text.bytesPerToken * predictions);
  return { bitsPerByte: nats / Math.LN2 / bytes, predictions, bytes };
}

/** Batches of at most B windows of T tokens in the order of the text. The weight is 1 where a prediction counts, else 0. */
export function* scoredWindows(text: ScoredText, B: number, T: number): Generator<Batch> {
  let windows: Window[] = [];
  for (let document = 0; document < text.documents; document++) {
    const predictions = text.length(document) - 1;
    for (let from = 0; from === 0 || from + T / 2 < predictions; from += T / 2) {
      if (predictions < 1) break;
      windows.push({ document, from, to: Math.min(from + T, predictions) });
      if (windows.length === B) {
        yield packed(text, windows, T);
        windows = [];
      }
    }
  }
  if (windows.length > 0) yield packed(text, windows, T);
}

/** Predictions [from, to) of a document, of the tokens one further. */
interface Window {
  document: number;
  from: number;
  to: number;
}

function packed(text: ScoredText, windows: readonly Window[], T: number): Batch {
  const B = windows.length;
  const batch: Batch = {
    B,
    T,
    tokens: new Int32Array(B * T),
    targets: new Int32Array(B * T).fill(-1),
    weights: new Float32Array(B * T),
    positions: Int32Array.from({ length: B * T }, (_, i) => i % T),
  };
  windows.forEach(({ document, from, to }, b) => {
    const { ids } = text.read(document, from, to + 1);
    batch.tokens.set(ids.subarray(0, to - from), b * T);
    for (let t = from === 0 ? 0 : T / 2; t < to - from; t++) {
      batch.targets[b * T + t] = ids[t + 1] as number;
      batch.weights[b * T + t] = 1;
    }
  });
  return batch;
}
