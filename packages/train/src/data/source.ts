/**
 * @file Where documents come from. A source is a pure function of a seed, so a stopped run goes on with exactly the
 * documents it would have seen: no reader position to save.
 */
import { type Rng, sha256Hex } from '@quasar/base';
import { encodeChatForTraining, type Tokenizer } from '@quasar/model';
import { generateConversation } from '@quasar/world';
import type { Document } from './batch.ts';

export interface Source {
  name: string;
  /** Digest of the data it draws from; absent where code makes the documents. */
  fingerprint?: string | undefined;
  /** A document drawn by `rng`. */
  document(rng: Rng): Document;
}

/** Prompts of the world are random text: predicting them teaches little, so they count less than replies. */
const PROMPT_WEIGHT = 0.1;

/** Conversations of the procedural world, train split. */
export function worldSource(tokenizer: Tokenizer, options: { turns?: number } = {}): Source {
  return {
    name: 'world',
    document(rng) {
      const seed = String(rng.uint32()) + rng.uint32();
      const { messages } = generateConversation(seed, 'train', { turns: options.turns ?? rng.int(1, 4) });
      const { ids, isTarget } = encodeChatForTraining(tokenizer, messages);
      return { ids, weights: Float32Array.from(isTarget, (target) => (target ? 1 : PROMPT_WEIGHT)) };
    },
  };
}

/** Windows of one tokenised text, each starting a segment of its own. */
export function textSource(name: string, ids: Int32Array, windowTokens: number): Source {
  return {
    name,
    fingerprint: sha256Hex(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength)),
    document(rng) {
      const start = rng.int(0, Math.max(0, ids.length - windowTokens));
      const window = ids.slice(start, start + windowTokens);
      return { ids: window, weights: new Float32Array(window.length).fill(1) };
    },
  };
}

/** Draws each document from one of the sources in proportion to its weight. */
export function mixture(parts: readonly { source: Source; weight: number }[]): Source {
  const total = parts.reduce((sum, p) => sum + p.weight, 0);
  return {
    name: parts.map((p) => p.source.name).join('+'),
    fingerprint: parts.flatMap((p) => p.source.fingerprint ?? []).join('+'),
    document(rng) {
      let at = rng.next() * total;
      for (const { source, weight } of parts) {
        at -= weight;
        if (at < 0) return source.document(rng);
      }
      return (parts.at(-1) as { source: Source }).source.document(rng);
    },
  };
}
