/** @file From what a reader yields to tokens, targets and an entry of the index. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '@quasar/base';
import { encodeChatForTraining, SPECIAL_TOKENS, type Tokenizer } from '@quasar/model';
import type { RawDocument } from '../readers/document.ts';
import type { PassageEntry } from './format.ts';

export interface EncodedPassage {
  ids: Int32Array;
  /** Of conversations: 1 for what the model is to produce. Null for a text, all of which it is to produce. */
  isTarget: Uint8Array | null;
  entry: Omit<PassageEntry, 'tokens'>;
}

/**
 * A text begins with `<|bos|>` where the tokenizer has one, so that its first token is predicted like the others.
 * @returns null for a text of nothing
 * @throws QuasarError `tokenizer.special_missing` for a conversation and a tokenizer without the tokens of the chat template
 */
export function encodePassage(tokenizer: Tokenizer, document: RawDocument): EncodedPassage | null {
  if ('messages' in document) {
    const { messages } = document;
    const textBytes = messages.reduce((sum, { content }) => sum + Buffer.byteLength(content), 0);
    const entry = { draw: drawOf(canonicalJson(messages)), textBytes, continues: false, firstBytes: 0 };
    return { ...encodeChatForTraining(tokenizer, messages), entry };
  }
  const { text, continues } = document;
  if (text === '') return null;
  const ids = tokenizer.encode(text);
  const bos = continues ? undefined : tokenizer.vocabulary.specials.get(SPECIAL_TOKENS.bos);
  const firstBytes = bos === undefined ? (tokenizer.vocabulary.tokens[ids[0] as number] as Uint8Array).length : 0;
  return {
    ids: bos === undefined ? ids : prepend(bos, ids),
    isTarget: null,
    entry: { draw: drawOf(text), textBytes: Buffer.byteLength(text), continues, firstBytes },
  };
}

/** The first 32 bits of the SHA-256 of a text: whether it is held out is a function of what it says and of nothing else. */
export function drawOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0);
}

function prepend(first: number, rest: Int32Array): Int32Array {
  const all = new Int32Array(rest.length + 1);
  all[0] = first;
  all.set(rest, 1);
  return all;
}
