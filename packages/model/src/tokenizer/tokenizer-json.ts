/**
 * @file Reading and writing Hugging Face `tokenizer.json` for byte-level BPE.
 *
 * A submission brings this file, so it is data to distrust: one shape is accepted and everything else is an issue.
 * Accepted: model BPE, the piece pattern of `pieces.ts`, ByteLevel decoder, special added tokens. Refused: any other
 * pattern (a regular expression of a stranger is a program that can run for hours), normalizers, templates, unknown keys.
 */
import type { Issue, Result } from '@quasar/base';
import { show } from '../show.ts';
import { MAX_MERGES, type Merge, pairKey } from './bpe.ts';
import { bytesToText, textToBytes } from './byte-level.ts';
import { PIECE_PATTERN } from './pieces.ts';
import { SPECIAL_TOKENS, type Vocabulary } from './vocabulary.ts';

/** The file of a 250,000-entry vocabulary has 12 MB. */
export const MAX_TOKENIZER_JSON_CHARS = 64 * 2 ** 20;

/** After this many issues the file is plainly not a tokenizer of ours. */
const MAX_ISSUES = 50;

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
const PIPELINE: Record<string, unknown> = {
  truncation: null,
  padding: null,
  normalizer: null,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: PIECE_PATTERN }, behavior: 'Isolated', invert: false },
      BYTE_LEVEL,
    ],
  },
  post_processor: null,
  decoder: BYTE_LEVEL,
};
const MODEL: Record<string, unknown> = {
  type: 'BPE',
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
};
const ADDED_FLAGS = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };

/** The file for `vocabulary`: equal vocabularies give equal bytes. */
export function emitTokenizerJson(vocabulary: Vocabulary): string {
  const { tokens, merges, specials } = vocabulary;
  const specialIds = new Set(specials.values());
  const texts = tokens.map(bytesToText);
  const { truncation, padding, ...pipeline } = PIPELINE;
  const file = {
    version: '1.0',
    truncation,
    padding,
    added_tokens: [...specials].map(([content, id]) => ({ id, content, ...ADDED_FLAGS })),
    ...pipeline,
    model: {
      ...MODEL,
      vocab: Object.fromEntries(texts.flatMap((text, id) => (specialIds.has(id) ? [] : [[text, id]]))),
      merges: merges.map(({ left, right }) => `${texts[left]} ${texts[right]}`),
    },
  };
  return `${JSON.stringify(file, null, 1)}\n`;
}

/** All that is wrong with the file, or the vocabulary in it. Never throws. */
export function parseTokenizerJson(json: string): Result<Vocabulary> {
  if (json.length > MAX_TOKENIZER_JSON_CHARS) {
    return refused(
      'tokenizer.too_large',
      `tokenizer.json: ${json.length} characters, at most ${MAX_TOKENIZER_JSON_CHARS}`,
    );
  }
  let file: unknown;
  try {
    file = JSON.parse(json);
  } catch (error) {
    return refused('tokenizer.not_json', `tokenizer.json: ${(error as Error).message}`);
  }
  if (!isRecord(file)) return refused('tokenizer.not_json', 'tokenizer.json: expected an object');
  const parser = new Parser();
  const vocabulary = parser.file(file);
  return parser.issues.length === 0 ? { ok: true, value: vocabulary } : { ok: false, issues: parser.issues };
}

function refused(code: string, message: string): Result<never> {
  return { ok: false, issues: [{ code, path: 'tokenizer.json', message }] };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Equality of JSON values, key order aside; an absent key counts as `null`. */
function same(a: unknown, b: unknown): boolean {
  if (!isRecord(a) || !isRecord(b)) {
    if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((each, i) => same(each, b[i]));
    return (a ?? null) === (b ?? null);
  }
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((key) => same(a[key], b[key]));
}

class Parser {
  readonly issues: Issue[] = [];

  file(file: Record<string, unknown>): Vocabulary {
    const known = ['version', 'added_tokens', 'model', ...Object.keys(PIPELINE)];
    for (const key of Object.keys(file)) if (!known.includes(key)) this.#unknown(key);
    if (file.version !== '1.0')
      this.#issue('tokenizer.unsupported', 'version', `expected "1.0", got ${show(file.version)}`);
    for (const [key, value] of Object.entries(PIPELINE)) this.#fixed(key, file[key], value);
    const model = isRecord(file.model) ? file.model : {};
    for (const key of Object.keys(model)) {
      if (key !== 'vocab' && key !== 'merges' && !(key in MODEL)) this.#unknown(`model/${key}`);
    }
    for (const [key, value] of Object.entries(MODEL)) {
      // Absent switches are off; writers differ in which of them they write.
      this.#fixed(`model/${key}`, value === false ? (model[key] ?? false) : model[key], value);
    }
    const specials = this.#specials(file.added_tokens);
    const tokens = this.#tokens(model.vocab, specials);
    // Without ids that can be trusted every merge would be an issue.
    const merges = tokens.length === 0 ? [] : this.#merges(model.merges, tokens, specials);
    return { tokens, merges, specials };
  }

  #specials(added: unknown): Map<string, number> {
    const specials = new Map<string, number>();
    for (const [i, token] of (Array.isArray(added) ? added : []).entries()) {
      const { id, content, ...flags } = isRecord(token) ? token : {};
      if (!isTokenId(id) || typeof content !== 'string' || content === '' || !same(flags, ADDED_FLAGS)) {
        this.#issue('tokenizer.bad_added_token', `added_tokens/${i}`, `not a plain special token: ${show(token)}`);
      } else if (specials.has(content)) {
        this.#issue('tokenizer.bad_added_token', `added_tokens/${i}`, `${show(content)} is there twice`);
      } else specials.set(content, id);
    }
    for (const content of Object.values(SPECIAL_TOKENS)) {
      if (!specials.has(content)) this.#issue('tokenizer.special_missing', 'added_tokens', `no ${content}`);
    }
    return specials;
  }

  #tokens(vocab: unknown, specials: Map<string, number>): Uint8Array[] {
    const entries = isRecord(vocab) ? Object.entries(vocab) : [];
    if (entries.length === 0) this.#issue('tokenizer.bad_vocab', 'model/vocab', 'expected an object of tokens');
    const tokens = new Map<number, Uint8Array>();
    const add = (path: string, text: string, id: unknown, bytes: Uint8Array | null) => {
      if (bytes === null) this.#issue('tokenizer.bad_vocab', path, `${show(text)} is not byte-level text`);
      else if (!isTokenId(id)) this.#issue('tokenizer.bad_vocab', path, `bad id ${show(id)} of ${show(text)}`);
      else if (tokens.has(id)) this.#issue('tokenizer.bad_vocab', path, `id ${id} of ${show(text)} is taken`);
      else tokens.set(id, bytes);
    };
    // Some writers list special tokens in the vocabulary too.
    for (const [text, id] of entries) if (specials.get(text) !== id) add('model/vocab', text, id, textToBytes(text));
    for (const [text, id] of specials) add('added_tokens', text, id, new TextEncoder().encode(text));
    const highest = [...tokens.keys()].reduce((a, b) => Math.max(a, b), -1);
    if (highest >= tokens.size) {
      this.#issue('tokenizer.bad_vocab', 'model/vocab', `ids have holes: ${tokens.size} tokens, highest id ${highest}`);
      return [];
    }
    return Array.from({ length: tokens.size }, (_, id) => tokens.get(id)!);
  }

  #merges(merges: unknown, tokens: Uint8Array[], specials: Map<string, number>): Merge[] {
    const specialIds = new Set(specials.values());
    const idOf = new Map(tokens.flatMap((bytes, id) => (specialIds.has(id) ? [] : [[bytesToText(bytes), id]])));
    const missing = Array.from({ length: 256 }, (_, byte) => byte).filter(
      (b) => !idOf.has(bytesToText(Uint8Array.of(b))),
    );
    if (missing.length > 0) {
      this.#issue(
        'tokenizer.byte_missing',
        'model/vocab',
        `no token for ${missing.length} of 256 bytes, first ${missing[0]}`,
      );
    }
    if (!Array.isArray(merges) || merges.length > MAX_MERGES) {
      this.#issue('tokenizer.bad_merge', 'model/merges', `expected an array of at most ${MAX_MERGES} pairs`);
      return [];
    }
    const seen = new Set<number>();
    return merges.flatMap((merge: unknown, rank) => {
      const halves = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
      const [left, right, result] = [idOf.get(halves[0]), idOf.get(halves[1]), idOf.get(`${halves[0]}${halves[1]}`)];
      const path = `model/merges/${rank}`;
      if (halves.length !== 2 || left === undefined || right === undefined || result === undefined) {
        this.#issue('tokenizer.bad_merge', path, `${show(merge)}: the halves or the whole are not in the vocabulary`);
        return [];
      }
      const key = pairKey(left, right);
      if (seen.has(key)) this.#issue('tokenizer.bad_merge', path, `${show(merge)} is there twice`);
      seen.add(key);
      return [{ left, right, result }];
    });
  }

  #fixed(path: string, got: unknown, expected: unknown): void {
    if (!same(got, expected)) {
      this.#issue('tokenizer.unsupported', path, `expected ${JSON.stringify(expected)}, got ${show(got)}`);
    }
  }

  #unknown(path: string): void {
    this.#issue('tokenizer.unknown_key', show(path), 'this key is not part of a Quasar tokenizer');
  }

  #issue(code: string, path: string, message: string): void {
    if (this.issues.length >= MAX_ISSUES) return;
    const hint = 'use the tokenizer.json that belongs to the base model';
    this.issues.push({ code, path: `tokenizer.json/${path}`, message, hint });
  }
}

function isTokenId(id: unknown): id is number {
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < MAX_MERGES;
}
