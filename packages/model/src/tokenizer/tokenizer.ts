/**
 * @file The tokenizer: text to token ids and back, loaded from `tokenizer.json`.
 *
 * Text never becomes a special token, whatever it says: `<|end|>` typed by a user is seven symbols and letters. Only
 * the chat template (chat.ts) puts special tokens into a sequence. Other libraries do parse them from text.
 */
import { readFileSync } from 'node:fs';
import { formatIssues, QuasarError } from '@quasar/base';
import { Bpe } from './bpe.ts';
import { TokenDecoder } from './decoder.ts';
import { pieces } from './pieces.ts';
import { emitTokenizerJson, parseTokenizerJson } from './tokenizer-json.ts';
import { SPECIAL_TOKENS, type Vocabulary } from './vocabulary.ts';

/** Ids of the tokens of the chat template; `eos` is another name of `end`. */
export type SpecialIds = Record<keyof typeof SPECIAL_TOKENS | 'eos', number>;

export class Tokenizer {
  readonly vocabulary: Vocabulary;
  readonly specials: SpecialIds;
  readonly #bpe: Bpe;
  readonly #specialIds: ReadonlySet<number>;

  /** @param vocabulary complete: all 256 bytes and all special tokens, as `parseTokenizerJson` and `trainBpe` give it */
  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary;
    this.#specialIds = new Set(vocabulary.specials.values());
    const byteIds = new Int32Array(256);
    for (const [id, bytes] of vocabulary.tokens.entries()) {
      if (bytes.length === 1 && !this.#specialIds.has(id)) byteIds[bytes[0]!] = id;
    }
    this.#bpe = new Bpe(byteIds, vocabulary.merges);
    const idOf = (name: keyof typeof SPECIAL_TOKENS) => vocabulary.specials.get(SPECIAL_TOKENS[name])!;
    const [bos, end, system, user] = [idOf('bos'), idOf('end'), idOf('system'), idOf('user')];
    this.specials = {
      bos,
      end,
      eos: end,
      system,
      user,
      assistant: idOf('assistant'),
      tool: idOf('tool'),
      pad: idOf('pad'),
    };
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

  /** Ids of plain text, O(n log n). Lone surrogates become U+FFFD, as in any UTF-8. */
  encode(text: string): Int32Array {
    const ids: number[] = [];
    for (const piece of pieces(text)) for (const id of this.#bpe.encode(piece)) ids.push(id);
    return Int32Array.from(ids);
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
