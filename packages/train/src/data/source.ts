/**
 * @file Where documents come from. A reader's position is a small plain value, so a stopped run goes on with exactly the
 * documents it would have seen.
 */
import { QuasarError, Rng, sha256Hex } from '@quasar/base';
import { encodeChatForTraining, type Tokenizer } from '@quasar/model';
import { generateConversation } from '@quasar/world';
import type { Document } from './batch.ts';
import { drawRates } from './draw-rates.ts';

/** Plain JSON: where a reader stands. A count of documents, or that of each part of a mixture. */
export type Position = number | { drawn: number; parts: Position[] };

export interface Reader {
  /** Never ends: what is finite begins again in another order. */
  next(): Document;
  readonly position: Position;
}

export interface Source {
  name: string;
  /** Digest of the data it draws from; absent where code makes the documents. */
  fingerprint?: string | undefined;
  /**
   * The order that `seed` gives, from its start or from the position of an earlier reader. Equal arguments give equal
   * documents. @throws QuasarError data.bad_position
   */
  open(seed: string, position?: Position): Reader;
}

/** A source whose document number i is a function of the seed and i. */
export function indexedSource(
  name: string,
  document: (seed: string, index: number) => Document,
  fingerprint?: string,
): Source {
  return {
    name,
    fingerprint,
    open(seed, position = 0) {
      if (typeof position !== 'number' || !Number.isSafeInteger(position) || position < 0) throw badPosition(name);
      let at = position;
      return {
        next: () => document(seed, at++),
        get position() {
          return at;
        },
      };
    },
  };
}

/** Prompts of the world are random text: predicting them teaches little, so they count less than replies. */
export const PROMPT_WEIGHT = 0.1;

/** Conversations of the procedural world, train split. */
export function worldSource(tokenizer: Tokenizer, options: { turns?: number } = {}): Source {
  return indexedSource('world', (seed, index) => {
    const rng = new Rng(`${seed}/${index}`);
    const turns = options.turns ?? rng.int(1, 4);
    const { messages } = generateConversation(String(rng.uint32()) + rng.uint32(), 'train', { turns });
    const { ids, isTarget } = encodeChatForTraining(tokenizer, messages);
    return { ids, weights: Float32Array.from(isTarget, (target) => (target ? 1 : PROMPT_WEIGHT)) };
  });
}

/** Windows of one tokenised text at random places, each starting a segment of its own. */
export function textSource(name: string, ids: Int32Array, windowTokens: number): Source {
  return indexedSource(
    name,
    (seed, index) => {
      const start = new Rng(`${seed}/${index}`).int(0, Math.max(0, ids.length - windowTokens));
      const window = ids.slice(start, start + windowTokens);
      return { ids: window, weights: new Float32Array(window.length).fill(1) };
    },
    sha256Hex(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength)),
  );
}

/**
 * Draws each document from one of the sources, so that the tokens that are trained on are shared out in proportion to the weights.
 * @param rowTokens length of the rows that the documents are packed in: what does not fit is cut off, more of long documents
 */
export function mixture(
  parts: readonly { source: Source; weight: number }[],
  rowTokens = Number.POSITIVE_INFINITY,
): Source {
  const rates = drawRates(
    parts.map(({ source, weight }) => ({ weight, lengths: sampleLengths(source) })),
    rowTokens,
  );
  const name = parts.map((p) => p.source.name).join('+');
  const choose = (seed: string, index: number): number => {
    let at = new Rng(`${seed}/choice/${index}`).next();
    const chosen = rates.findIndex((rate) => {
      at -= rate;
      return at < 0;
    });
    return chosen < 0 ? rates.findLastIndex((rate) => rate > 0) : chosen;
  };
  return {
    name,
    fingerprint: parts.map(({ source, weight }) => `${source.fingerprint ?? source.name}@${weight}`).join('+'),
    open(seed, position) {
      if (position !== undefined && (typeof position === 'number' || position.parts.length !== parts.length))
        throw badPosition(name);
      let drawn = position?.drawn ?? 0;
      const readers = parts.map(({ source }, i) => source.open(`${seed}/${i}`, position?.parts[i]));
      return {
        next: () => (readers[choose(seed, drawn++)] as Reader).next(),
        get position() {
          return { drawn, parts: readers.map((reader) => reader.position) };
        },
      };
    },
  };
}

/** So many documents, or fewer where they are long. */
const SAMPLED = { documents: 200, tokens: 1 << 20 };

function sampleLengths(source: Source): number[] {
  const reader = source.open('lengths');
  const lengths: number[] = [];
  for (let tokens = 0; lengths.length < SAMPLED.documents && tokens < SAMPLED.tokens; ) {
    const { length } = reader.next().ids;
    lengths.push(length);
    tokens += length;
  }
  return lengths;
}

export function badPosition(name: string): QuasarError {
  return new QuasarError('data.bad_position', `${name}: a saved position does not belong to this source`, {
    hint: 'use the data of the run that was stopped, or start again',
  });
}
