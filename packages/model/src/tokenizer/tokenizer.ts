/**
 * @file The tokenizer: text to token ids and back, loaded from any `tokenizer.json` of byte-level BPE.
 *
 * Text never becomes a special token unless the caller asks, whatever it says: `<|end|>` typed by a user is seven symbols and
 * letters. Only the chat template (chat.ts) puts special tokens into a sequence. Other libraries do parse them from text.
 */
import { readFileSync } from 'node:fs';
import { formatIssues, QuasarError } from '@quasar/base';
import { AddedTokens } from './added-tokens.ts';
import { Bpe } from './bpe.ts';
import { bytesToText } from './byte-level.ts';
import { TokenDecoder } from './decoder.ts';
import { PIECE_PATTERN } from './pieces.ts';
import { split } from './split.ts';
import { emitTokenizerJson, parseTokenizerJson } from './tokenizer-json.ts';
import { SPECIAL_TOKENS, type Vocabulary } from './vocabulary.ts';

/** Ids of the tokens of the chat template; `eos` is another name of `end`. */
export type SpecialIds = Record<keyof typeof SPECIAL_TOKENS | 'eos', number>;

/** Names of the token that ends a turn or a text, in the files of other families. */
const STOP_NAMES = ['<|im_end|>', '<|role_end|>', '<|eot_id|>', '<|endoftext|>', '<|end_of_text|>', '</s>'];

export interface EncodeOptions {
  /**
   * Whether special tokens in the text count as such, as in Hugging Face tokenizers. Default false: what users type is text.
   * Added tokens that are not special count in both.
   */
  specials?: boolean;
}

export class Tokenizer {
  readonly vocabulary: Vocabulary;
  readonly #bpe: Bpe;
  readonly #specialIds: ReadonlySet<number>;
  readonly #chat: SpecialIds | null;
  readonly #added: Record<'raw' | 'normalized', Record<'plain' | 'all', AddedTokens>>;

  /** @param vocabulary complete: all 256 bytes, as `parseTokenizerJson` and `trainBpe` give it */
  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary;
    const { tokens, merges, specials, format } = vocabulary;
    this.#specialIds = new Set(specials.values());
    const addedIds = new Set([...specials.values(), ...(format?.added.values() ?? [])]);
    const byteIds = new Int32Array(256);
    const whole = new Map<string, number>();
    for (const [id, bytes] of tokens.entries()) {
      if (addedIds.has(id)) continue;
      if (bytes.length === 1) byteIds[bytes[0]!] = id;
      if (format?.ignoreMerges) whole.set(bytesToText(bytes), id);
    }
    this.#bpe = new Bpe(byteIds, merges, whole);
    this.#chat = chatIds(specials);
    const matcher = (isNormalized: boolean, withSpecials: boolean) => {
      const candidates = [...(format?.added ?? []), ...(withSpecials ? specials : [])];
      const chosen = candidates.filter(([text]) => (format?.normalized.has(text) ?? false) === isNormalized);
      const written = ([text, id]: [string, number]): [string, number] => [
        isNormalized ? this.#normalize(text) : text,
        id,
      ];
      return new AddedTokens(new Map(chosen.map(written)));
    };
    this.#added = {
      raw: { plain: matcher(false, false), all: matcher(false, true) },
      normalized: { plain: matcher(true, false), all: matcher(true, true) },
    };
  }

  /** Ids of the chat template's tokens. @throws QuasarError `tokenizer.special_missing` for a tokenizer without them */
  get specials(): SpecialIds {
    if (this.#chat) return this.#chat;
    const missing = Object.values(SPECIAL_TOKENS).filter((text) => !this.vocabulary.specials.has(text));
    throw new QuasarError('tokenizer.special_missing', `this tokenizer lacks ${missing.join(', ')}`, {
      hint: 'the chat template needs a tokenizer of ours; text can be encoded, scored and generated with any',
    });
  }

  /** Tokens after which a text is complete. */
  get stopIds(): number[] {
    if (this.#chat) return [this.#chat.end];
    return STOP_NAMES.flatMap((name) => this.vocabulary.specials.get(name) ?? []);
  }

  /** Fills rows up; it is never read. */
  get padId(): number {
    return this.#chat?.pad ?? 0;
  }

  /** @throws QuasarError `tokenizer.unreadable`, `tokenizer.invalid` with every issue in `data` */
  static load(path: string): Tokenizer {
    let json: string;
    try {
      json = readFileSync(path, 'utf8');
    } catch (cause) {
      throw new QuasarError('tokenizer.unreadable', `tokenizer: cannot read ${path}`, {
        hint: 'a checkpoint directory holds config.json, model.safetensors and tokenizer.json',
        cause,
      });
    }
    return Tokenizer.parse(json);
  }

  /** @throws QuasarError `tokenizer.invalid` with every issue in `data` */
  static parse(json: string): Tokenizer {
    const parsed = parseTokenizerJson(json);
    if (parsed.ok) return new Tokenizer(parsed.value);
    throw new QuasarError('tokenizer.invalid', `tokenizer.json is refused:\n${formatIssues(parsed.issues)}`, {
      hint: 'use the tokenizer.json that belongs to the base model',
      data: parsed.issues,
    });
  }

  /** Number of ids, special tokens included. */
  get vocabSize(): number {
    return this.vocabulary.tokens.length;
  }

  /** Ids of a text, O(n log n). Lone surrogates become U+FFFD, as in any UTF-8. */
  encode(text: string, options: EncodeOptions = {}): Int32Array {
    const which = options.specials ? 'all' : 'plain';
    const pattern = this.vocabulary.format?.pattern ?? PIECE_PATTERN;
    const ids: number[] = [];
    for (const raw of this.#added.raw[which].parts(text)) {
      if (raw.id !== null) ids.push(raw.id);
      else
        for (const part of this.#added.normalized[which].parts(this.#normalize(raw.text))) {
          if (part.id !== null) ids.push(part.id);
          else for (const piece of split(part.text, pattern)) for (const id of this.#bpe.encode(piece)) ids.push(id);
        }
    }
    return Int32Array.from(ids);
  }

  #normalize(text: string): string {
    return this.vocabulary.format?.normalizer ? text.normalize(this.vocabulary.format.normalizer) : text;
  }

  /**
   * Text of `ids`. Bytes that are no UTF-8 and ids outside the vocabulary become U+FFFD: a model may sample anything.
   * Special tokens are left out, or written as their text with `{ specials: true }`.
   */
  decode(ids: ArrayLike<number>, options: { specials?: boolean } = {}): string {
    const decoder = new TokenDecoder(this, options);
    let text = '';
    for (let i = 0; i < ids.length; i++) text += decoder.push(ids[i]!);
    return text + decoder.flush();
  }

  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  /** The `tokenizer.json` of this tokenizer; equal tokenizers give equal bytes. */
  toJson(): string {
    return emitTokenizerJson(this.vocabulary);
  }
}

function chatIds(specials: ReadonlyMap<string, number>): SpecialIds | null {
  const ids: Partial<SpecialIds> = {};
  for (const [name, text] of Object.entries(SPECIAL_TOKENS) as [keyof typeof SPECIAL_TOKENS, string][]) {
    const id = specials.get(text);
    if (id === undefined) return null;
    ids[name] = id;
  }
  return { ...ids, eos: ids.end } as SpecialIds;
}
