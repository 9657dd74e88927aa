/** @file Training documents from a tokenised corpus: windows in a random order that needs no table. */
import { QuasarError, Rng } from '@quasar/base';
import type { Document } from './batch.ts';
import type { DocumentTable } from './corpus.ts';
import { permutation } from './permutation.ts';
import { badPosition, PROMPT_WEIGHT, type Reader, type Source } from './source.ts';
import { windowAt, windowSlots } from './windows.ts';

export interface CorpusSource extends Source {
  /** Bytes of text per predicted token. */
  bytesPerToken: number;
}

/**
 * Each epoch gives every prediction of every document once, in an order that the seed and the epoch give. The position is a count of
 * windows. A window has one token more than predictions: `pack` feeds the last one only as a target when the row ends there.
 * @param options.windowTokens predictions of a window; the length of a training row, so that windows fill rows
 * @throws QuasarError data.too_short when nothing in the table can be predicted
 */
export function corpusSource(
  name: string,
  table: DocumentTable,
  options: { windowTokens: number; fingerprint: string },
): CorpusSource {
  const W = options.windowTokens;
  // Where the slots of each document begin, and how many there are in all.
  const slotStarts = new Float64Array(table.documents + 1);
  for (let i = 0; i < table.documents; i++) {
    slotStarts[i + 1] = (slotStarts[i] as number) + windowSlots(table.length(i) - 1, W);
  }
  const slots = slotStarts[table.documents] as number;
  if (slots === 0) {
    throw new QuasarError('data.too_short', `${name}: ${table.tokens} tokens in ${table.documents} documents`, {
      hint: 'give more text',
    });
  }

  function documentOf(slot: number): number {
    let [low, high] = [0, table.documents - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((slotStarts[middle] as number) <= slot) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Null for an empty slot. */
  function read(slot: number, phase: number): Document | null {
    const document = documentOf(slot);
    const predictions = table.length(document) - 1;
    const { from, to } = windowAt(predictions, W, phase, slot - (slotStarts[document] as number));
    if (from === to) return null;
    const { ids, isTarget } = table.read(document, from, to + 1);
    return { ids, weights: Float32Array.from(isTarget, (target) => (target ? 1 : PROMPT_WEIGHT)) };
  }

  return {
    name,
    fingerprint: options.fingerprint,
    bytesPerToken: table.bytesPerToken,
    open(seed, position = 0): Reader {
      if (typeof position !== 'number' || !Number.isSafeInteger(position) || position < 0) throw badPosition(name);
      let count = position;
      let epoch = -1;
      let phase = 0;
      let order = (index: number) => index;
      return {
        get position() {
          return count;
        },
        next() {
          for (;;) {
            const current = Math.floor(count / slots);
            if (current !== epoch) {
              epoch = current;
              const key = `${seed}/${name}/epoch/${epoch}`;
              order = permutation(slots, key);
              phase = epoch === 0 ? 0 : new Rng(key).int(0, W - 1);
            }
            const document = read(order(count++ % slots), phase);
            if (document !== null) return document;
          }
        },
      };
    },
  };
}
