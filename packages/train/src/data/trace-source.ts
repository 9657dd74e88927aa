/** @file Traces of a teacher as documents: prompts that count nothing, continuations with the teacher's view of each token. */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { QuasarError, Rng, sha256Hex } from '@quasar/base';
import { type TraceFile, type TraceSet, wholeText } from '@quasar/infer';
import type { Tokenizer } from '@quasar/model';
import type { Document } from './batch.ts';
import { indexedSource, type Source } from './source.ts';

/** Of the prompts, by their hash: the same side in whatever set and order they come. */
const HELD_OUT_SHARE = 0.05;

/**
 * Traces of one side of the split, each once before one comes again, in an order of the seed that is another every time.
 * Memory holds which traces there are; a trace is read from its file when it is its turn.
 * @param part held_out: traces whose prompts no source of `train` ever gives
 * @throws QuasarError infer.vocabulary_differs; data.too_few_traces; infer.bad_trace_file, also from its readers
 */
export function traceSource(set: TraceSet, tokenizer: Tokenizer, part: 'train' | 'held_out'): Source {
  set.requireTokenizer(tokenizer);
  const places = placesOf(set, part);
  const N = places.length;
  if (N === 0) {
    throw new QuasarError('data.too_few_traces', `${set.directory}: none of its ${set.length} traces is for ${part}`, {
      hint: `about ${100 * HELD_OUT_SHARE} % are held out: make more traces`,
    });
  }
  let order: { seed: string; round: number; places: Place[] } | null = null;
  const inOrder = (seed: string, index: number): Place => {
    const round = Math.floor(index / N);
    if (order?.seed !== seed || order.round !== round)
      order = { seed, round, places: new Rng(`${seed}/traces/${round}`).shuffle([...places]) };
    return order.places[index % N] as Place;
  };
  const digests = set.files.map(({ path }) => basename(path)).join('\n');
  return indexedSource('traces', (seed, index) => documentOf(inOrder(seed, index)), sha256Hex(`${part}\n${digests}`));
}

interface Place {
  file: TraceFile;
  index: number;
}

/** Traces of one side that say something. */
function placesOf(set: TraceSet, part: 'train' | 'held_out'): Place[] {
  const places: Place[] = [];
  for (const file of set.files) {
    file.prompts().forEach((prompt, index) => {
      if (file.continuationTokens(index) > 0 && isHeldOut(prompt) === (part === 'held_out'))
        places.push({ file, index });
    });
  }
  return places;
}

function isHeldOut(prompt: Int32Array): boolean {
  const digest = createHash('sha256').update(prompt).digest();
  return digest.readUInt32LE() < HELD_OUT_SHARE * 2 ** 32;
}

function documentOf({ file, index }: Place): Document {
  const { prompt, continuation, top } = file.read(index);
  const ids = wholeText(prompt, continuation);
  return { ids, weights: new Float32Array(ids.length).fill(1, prompt.length), teacher: { from: prompt.length, top } };
}
