/**
 * @file Reading and writing Hugging Face `tokenizer.json` for byte-level BPE: ours, and those of GPT-2, Llama 3, Qwen, Bailing
 * and whoever cuts text as they do.
 *
 * A submission brings this file, so it is data to distrust: what is not understood is an issue. Refused are expressions that
 * `split.ts` does not know (a regular expression of a stranger is a program that can run for hours), normalizers but NFC, tokens
 * that eat spaces, byte fallback, dropout, unknown keys. What a post-processor would put around a text is for callers to add.
 */
import type { Issue, Result } from '@quasar/base';
import { show } from '../show.ts';
import { MAX_MERGES, type Merge, pairKey } from './bpe.ts';
import { bytesToText, textToBytes } from './byte-level.ts';
import { PIECE_PATTERN } from './pieces.ts';
import { GPT2_PATTERN, isKnownPattern } from './split.ts';
import type { Vocabulary } from './vocabulary.ts';

/** The file of a 250,000-entry vocabulary has 12 MB. */
export const MAX_TOKENIZER_JSON_CHARS = 64 * 2 ** 20;

/** After this many issues the file is plainly not a tokenizer of ours. */
const MAX_ISSUES = 50;

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
const PIPELINE = {
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
  const { format } = vocabulary;
  const added = [...(format?.added ?? []), ...specials];
  if (format) added.sort(([, a], [, b]) => a - b);
  const addedIds = new Set(added.map(([, id]) => id));
  const texts = tokens.map(bytesToText);
  const { truncation, padding, ...pipeline } = { ...PIPELINE, ...format?.file };
  const file = {
    version: '1.0',
    truncation,
    padding,
    added_tokens: added.map(([content, id]) => ({
      id,
      content,
      ...ADDED_FLAGS,
      normalized: format?.normalized.has(content) ?? false,
      special: specials.has(content),
    })),
    ...pipeline,
    model: {
      ...MODEL,
      ignore_merges: format?.ignoreMerges ?? false,
      vocab: Object.fromEntries(texts.flatMap((text, id) => (addedIds.has(id) ? [] : [[text, id]]))),
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
    for (const key of ['truncation', 'padding']) this.#fixed(key, file[key], null);
    const model = isRecord(file.model) ? file.model : {};
    for (const key of Object.keys(model)) {
      if (key !== 'vocab' && key !== 'merges' && !(key in MODEL)) this.#unknown(`model/${key}`);
    }
    for (const [key, value] of Object.entries(MODEL)) {
      if (key === 'ignore_merges' && model[key] === true) continue;
      // All bytes are tokens, so nothing is unknown.
      if (key === 'unk_token' && typeof model[key] === 'string') continue;
      // Absent switches are off, no text may be an empty one; writers differ in what they write.
      if (value === null && model[key] === '') continue;
      this.#fixed(`model/${key}`, value === false ? (model[key] ?? false) : model[key], value);
    }
    const [specials, added, normalized] = this.#added(file.added_tokens);
    const ours = (Object.keys(PIPELINE) as (keyof typeof PIPELINE)[]).every((key) => same(file[key], PIPELINE[key]));
    const isOurs = ours && added.size === 0 && normalized.size === 0 && model.ignore_merges !== true;
    const pattern = this.#pattern(file.pre_tokenizer);
    const normalizer = this.#normalizer(file.normalizer);
    if (!isByteLevel(file.decoder))
      this.#issue('tokenizer.unsupported', 'decoder', `expected ByteLevel, got ${show(file.decoder)}`);
    if (!isPostProcessor(file.post_processor))
      this.#issue('tokenizer.unsupported', 'post_processor', `not known: ${show(file.post_processor)}`);
    const tokens = this.#tokens(model.vocab, new Map([...specials, ...added]));
    // Without ids that can be trusted every merge would be an issue.
    const addedIds = new Set([...specials.values(), ...added.values()]);
    const merges = tokens.length === 0 ? [] : this.#merges(model.merges, tokens, addedIds);
    if (isOurs) return { tokens, merges, specials };
    const { pre_tokenizer, post_processor = null, decoder } = file;
    const parts = { normalizer: file.normalizer ?? null, pre_tokenizer, post_processor, decoder };
    const ignoreMerges = model.ignore_merges === true;
    return { tokens, merges, specials, format: { added, normalized, normalizer, pattern, ignoreMerges, file: parts } };
  }

  /** The expression that pieces match: of a Split before ByteLevel, or GPT-2's inside ByteLevel. */
  #pattern(given: unknown): string {
    if (isByteLevel(given) && (given as Record<string, unknown>).use_regex !== false) {
      if (same((given as Record<string, unknown>).add_prefix_space, false)) return GPT2_PATTERN;
    }
    const [cut, bytes, ...more] = isRecord(given) && Array.isArray(given.pretokenizers) ? given.pretokenizers : [];
    const pattern = isRecord(cut) && isRecord(cut.pattern) ? cut.pattern.Regex : undefined;
    const expected = {
      type: 'Sequence',
      pretokenizers: [{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false }, bytes],
    };
    const isPlain = isByteLevel(bytes) && bytes.use_regex === false && same(bytes.add_prefix_space, false);
    if (isPlain && more.length === 0 && isKnownPattern(pattern) && same(given, expected)) return pattern;
    const message = `expected ByteLevel, or a Split by a known expression before it; got ${show(pattern ?? given)}`;
    this.#issue('tokenizer.unsupported', 'pre_tokenizer', message);
    return PIECE_PATTERN;
  }

  #normalizer(given: unknown): 'NFC' | null {
    if (given === undefined || given === null) return null;
    if (!same(given, { type: 'NFC' }))
      this.#issue('tokenizer.unsupported', 'normalizer', `expected none or NFC, got ${show(given)}`);
    return 'NFC';
  }

  /** Special ones, plain ones, and which of both are looked for in normalised text. */
  #added(given: unknown): [specials: Map<string, number>, plain: Map<string, number>, normalized: Set<string>] {
    const specials = new Map<string, number>();
    const plain = new Map<string, number>();
    const normalized = new Set<string>();
    for (const [i, token] of (Array.isArray(given) ? given : []).entries()) {
      const { id, content, special, normalized: isNormalized, ...flags } = isRecord(token) ? token : {};
      const isWhole = same(flags, { single_word: false, lstrip: false, rstrip: false });
      const isFlagged = typeof special === 'boolean' && typeof isNormalized === 'boolean';
      if (!isTokenId(id) || typeof content !== 'string' || content === '' || !isWhole || !isFlagged) {
        this.#issue('tokenizer.bad_added_token', `added_tokens/${i}`, `not a plain added token: ${show(token)}`);
      } else if (specials.has(content) || plain.has(content)) {
        this.#issue('tokenizer.bad_added_token', `added_tokens/${i}`, `${show(content)} is there twice`);
      } else {
        (special ? specials : plain).set(content, id);
        if (isNormalized) normalized.add(content);
      }
    }
    return [specials, plain, normalized];
  }

  /** Bytes of each token by id. @param added all added tokens */
  #tokens(vocab: unknown, added: Map<string, number>): Uint8Array[] {
    const entries = isRecord(vocab) ? Object.entries(vocab) : [];
    if (entries.length === 0) this.#issue('tokenizer.bad_vocab', 'model/vocab', 'expected an object of tokens');
    const tokens = new Map<number, Uint8Array>();
    const add = (path: string, text: string, id: unknown, bytes: Uint8Array | null) => {
      if (bytes === null) this.#issue('tokenizer.bad_vocab', path, `${show(text)} is not byte-level text`);
      else if (!isTokenId(id)) this.#issue('tokenizer.bad_vocab', path, `bad id ${show(id)} of ${show(text)}`);
      else if (tokens.has(id)) this.#issue('tokenizer.bad_vocab', path, `id ${id} of ${show(text)} is taken`);
      else tokens.set(id, bytes);
    };
    // Some writers list added tokens in the vocabulary too.
    for (const [text, id] of entries) if (added.get(text) !== id) add('model/vocab', text, id, textToBytes(text));
    for (const [text, id] of added) add('added_tokens', text, id, new TextEncoder().encode(text));
    const highest = [...tokens.keys()].reduce((a, b) => Math.max(a, b), -1);
    if (highest >= tokens.size) {
      this.#issue('tokenizer.bad_vocab', 'model/vocab', `ids have holes: ${tokens.size} tokens, highest id ${highest}`);
      return [];
    }
    return Array.from({ length: tokens.size }, (_, id) => tokens.get(id)!);
  }

  #merges(merges: unknown, tokens: Uint8Array[], addedIds: ReadonlySet<number>): Merge[] {
    const idOf = new Map(tokens.flatMap((bytes, id) => (addedIds.has(id) ? [] : [[bytesToText(bytes), id]])));
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

function isByteLevel(value: unknown): value is Record<string, unknown> {
  const flags = ['type', 'add_prefix_space', 'trim_offsets', 'use_regex'];
  return isRecord(value) && value.type === 'ByteLevel' && Object.keys(value).every((key) => flags.includes(key));
}

/** One that leaves the ids of a text as they are, or puts others around them. */
function isPostProcessor(value: unknown): boolean {
  const isOne = (each: unknown) => isByteLevel(each) || (isRecord(each) && each.type === 'TemplateProcessing');
  if (isRecord(value) && value.type === 'Sequence')
    return Array.isArray(value.processors) && value.processors.every(isOne);
  return value === null || value === undefined || isOne(value);
}

function isTokenId(id: unknown): id is number {
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < MAX_MERGES;
}
