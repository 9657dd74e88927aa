/**
 * @file Training a byte-level BPE vocabulary (Sennrich et al. 2016).
 *
 * The most frequent pair of neighbours inside pieces becomes a token, until the vocabulary is full. Ties go to the
 * lower left id, then the lower right id, so equal texts give equal bytes on every machine. Pair counts live in a heap
 * with stale entries; a merge touches only the pieces that hold its pair.
 *
 * Ids: bytes 0 to 255, merged tokens in order of birth, special tokens last.
 */
import { QuasarError } from '@quasar/base';
import { type Merge, pairKey } from './bpe.ts';
import { bytesToText } from './byte-level.ts';
import { Heap } from './heap.ts';
import { pieces } from './pieces.ts';
import { Tokenizer } from './tokenizer.ts';
import { SPECIAL_TOKENS } from './vocabulary.ts';

export interface TrainBpeOptions {
  /** Ids in all, bytes and special tokens included. Fewer come out when no pair occurs twice any more. */
  vocabSize: number;
  /** Special tokens besides those of the chat template. */
  specials?: readonly string[] | undefined;
}

/** A run longer than this is no word (a ruler of dashes, base64); it teaches nothing and costs its square. */
const MAX_PIECE_CHARS = 128;

/** A pair that occurs once is no pattern. */
const MIN_COUNT = 2;

interface Word {
  ids: number[];
  count: number;
}

/** Learns from plain texts (message contents, documents). @throws QuasarError `tokenizer.vocab_too_small` */
export function trainBpe(texts: Iterable<string>, options: TrainBpeOptions): Tokenizer {
  const specials = [...new Set([...Object.values(SPECIAL_TOKENS), ...(options.specials ?? [])])];
  const room = options.vocabSize - specials.length;
  if (!Number.isInteger(room) || room < 256 || options.vocabSize > 2 ** 20) {
    throw new QuasarError(
      'tokenizer.vocab_too_small',
      `trainBpe: vocabSize ${options.vocabSize} with ${specials.length} special tokens`,
      {
        hint: `an integer from ${256 + specials.length} (bytes and special tokens) to ${2 ** 20}`,
      },
    );
  }
  const tokens = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  const merges = learn(countWords(texts), tokens, room);
  const ids = new Map(specials.map((text, i) => [text, tokens.length + i]));
  for (const text of specials) tokens.push(new TextEncoder().encode(text));
  return new Tokenizer({ tokens, merges, specials: ids });
}

function countWords(texts: Iterable<string>): Word[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const piece of pieces(text)) {
      if (piece.length <= MAX_PIECE_CHARS) counts.set(piece, (counts.get(piece) ?? 0) + 1);
    }
  }
  const utf8 = new TextEncoder();
  return [...counts].map(([piece, count]) => ({ ids: [...utf8.encode(piece)], count }));
}

/** Appends to `tokens` up to `room` in all; returns the merges in order of rank. */
function learn(words: readonly Word[], tokens: Uint8Array[], room: number): Merge[] {
  const table = new PairTable(words);
  const idOf = new Map(tokens.map((bytes, id) => [bytesToText(bytes), id]));
  const learned = new Map<number, Merge>();
  while (tokens.length < room) {
    const best = table.takeBest();
    if (best === null) break;
    const { left, right } = best;
    const bytes = Uint8Array.of(...tokens[left]!, ...tokens[right]!);
    const text = bytesToText(bytes);
    // Two ways to the same bytes (a + bc, ab + c) lead to one token.
    const result = idOf.get(text) ?? tokens.push(bytes) - 1;
    idOf.set(text, result);
    // A pair that comes back (its left half was made in another way) keeps its first rank.
    if (!learned.has(pairKey(left, right))) learned.set(pairKey(left, right), { left, right, result });
    table.merge(left, right, result);
  }
  return [...learned.values()];
}

/** How often each pair of neighbours occurs, and in which words. */
class PairTable {
  readonly #words: readonly Word[];
  readonly #counts = new Map<number, number>();
  readonly #wordsOf = new Map<number, Set<number>>();
  /** Most frequent first, then the lower ids; an entry is stale when its count is no longer the count of its pair. */
  readonly #heap = new Heap<{ count: number; key: number }>(
    (a, b) => a.count > b.count || (a.count === b.count && a.key < b.key),
  );

  constructor(words: readonly Word[]) {
    this.#words = words;
    for (const index of words.keys()) this.#add(index, 1);
    for (const [key, count] of this.#counts) this.#heap.push({ count, key });
  }

  /** The most frequent pair; `null` when none occurs often enough. */
  takeBest(): { left: number; right: number } | null {
    for (let top = this.#heap.pop(); top !== undefined && top.count >= MIN_COUNT; top = this.#heap.pop()) {
      if (this.#counts.get(top.key) === top.count)
        return { left: Math.floor(top.key / 2 ** 20), right: top.key % 2 ** 20 };
    }
    return null;
  }

  /** Replaces the pair by `result` in every word that holds it. */
  merge(left: number, right: number, result: number): void {
    const pair = pairKey(left, right);
    const changed = new Set<number>();
    for (const index of this.#wordsOf.get(pair) ?? []) {
      const word = this.#words[index]!;
      for (const key of this.#add(index, -1)) changed.add(key);
      const ids: number[] = [];
      for (let i = 0; i < word.ids.length; i++) {
        const isPair = word.ids[i] === left && word.ids[i + 1] === right;
        ids.push(isPair ? result : word.ids[i]!);
        if (isPair) i++;
      }
      word.ids = ids;
      for (const key of this.#add(index, 1)) changed.add(key);
    }
    this.#wordsOf.delete(pair);
    this.#counts.delete(pair);
    changed.delete(pair);
    for (const key of changed) this.#heap.push({ count: this.#counts.get(key) ?? 0, key });
  }

  /** Counts the pairs of one word in (`sign` 1) or out (-1); returns their keys. */
  #add(index: number, sign: 1 | -1): number[] {
    const { ids, count } = this.#words[index]!;
    const keys: number[] = [];
    for (let i = 0; i + 1 < ids.length; i++) {
      const key = pairKey(ids[i]!, ids[i + 1]!);
      keys.push(key);
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + sign * count);
      if (sign === 1) {
        const words = this.#wordsOf.get(key);
        if (words) words.add(index);
        else this.#wordsOf.set(key, new Set([index]));
      }
    }
    return keys;
  }
}
