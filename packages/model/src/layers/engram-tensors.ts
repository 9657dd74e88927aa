/** @file The tensors of an Engram layer: tables, projections, and the buffers that say which token reads which row. */
import { Rng } from '@quasar/base';
import { constant, type Entries, entry, inPart, matrix, norm, type TensorSpec } from '../tensor-table.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { CONV_SIZE, type EngramOptions, engramSizes } from './engram.ts';

/** Share of the ids that the public hash of ids leaves. */
const HASHED_SHARE = 0.77;
const HASH_FACTOR = 2654435761n;
const LARGEST_SEED = 2 ** 31 - 2;

/**
 * Every tensor of the layer by its public name, prefix included. A fresh layer adds nothing (`out_proj` is 0); with
 * `tokenMap: 'canonical'` this table keeps tokens apart; `freshTable` has `canonicalTokenMap` in its place.
 * @param D width of the hidden state
 * @param V ids of the vocabulary, at most 2^24
 */
export function engramTensors(D: number, V: number, options: EngramOptions): Entries {
  const { at, dim, orders, tokenMap, lrScale } = options;
  const { tables, rows, width } = engramSizes(options);
  const std = 0.5 / Math.sqrt(D);
  const buffer = (name: string, length: number, value: (i: number) => number): [string, TensorSpec] => [
    name,
    { shape: [length], role: 'buffer', init: { kind: 'integers', value }, dtype: 'int' },
  ];
  const entries: Entries = [
    ['embed_tables', { shape: [tables, rows, width], role: 'table', init: { kind: 'normal', std: 0.01 }, lrScale }],
    matrix('embed_proj.weight', [dim, tables * width], std),
    matrix('q_proj.weight', [dim, D], std),
    matrix('W_K.weight', [dim, dim], std),
    matrix('W_V.weight', [dim, dim], std),
    norm('conv_norm.weight', dim),
    entry('conv.weight', [dim, 1, CONV_SIZE], 'matrix', constant(0)),
    entry('out_proj.weight', [D, dim], 'matrix', constant(0)),
    buffer('token_map', V, tokenMap === 'hash' ? hashedToken(V) : (id) => id),
    buffer('seeds', tables, (i) => new Rng(`engram seed ${i}`).int(1, LARGEST_SEED)),
    buffer('ngram_orders_buf', orders.length, (i) => orders[i] as number),
  ];
  return inPart(
    'engram',
    entries.map(([name, spec]) => [`${at}.${name}`, spec]),
  );
}

/** Which token stands for an id in the public layer: (id · 2654435761) mod ⌊0.77 V⌋, semantically random. */
function hashedToken(V: number): (id: number) => number {
  const size = BigInt(Math.max(1, Math.floor(V * HASHED_SHARE)));
  return (id) => Number((BigInt(id) * HASH_FACTOR) % size);
}

/**
 * Which token stands for an id by its text (the paper): the first one whose text is the same after NFKC and lower-casing.
 * Special tokens, bytes that are no UTF-8 by themselves and ids beyond the tokenizer stand for themselves.
 * @param V ids of the model's vocabulary
 */
export function canonicalTokenMap(tokenizer: Tokenizer, V: number): Int32Array {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const first = new Map<string, number>();
  return Int32Array.from({ length: V }, (_, id) => {
    const bytes = tokenizer.vocabulary.tokens[id];
    if (!bytes || tokenizer.isSpecial(id)) return id;
    let text: string;
    try {
      text = decoder.decode(bytes).normalize('NFKC').toLowerCase();
    } catch {
      return id;
    }
    const known = first.get(text);
    if (known === undefined) first.set(text, id);
    return known ?? id;
  });
}
