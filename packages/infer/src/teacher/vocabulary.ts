/** @file Whether two vocabularies are the same, and tokens that others write as text or bytes as ids of ours. */
import { QuasarError, sha256Hex } from '@quasar/base';
import type { Tokenizer } from '@quasar/model';

/** Of the tokenizer.json that this tokenizer writes: equal tokenizers, equal digests. */
export function tokenizerDigest(tokenizer: Tokenizer): string {
  return sha256Hex(tokenizer.toJson());
}

/** @param who whose tokenizers they are. @throws QuasarError infer.vocabulary_differs */
export function requireSameVocabulary(ours: Tokenizer, theirs: Tokenizer, who: { ours: string; theirs: string }): void {
  if (tokenizerDigest(ours) === tokenizerDigest(theirs)) return;
  throw vocabularyDiffers(
    `${who.ours} has ${ours.vocabSize} tokens, ${who.theirs} has ${theirs.vocabSize}; ${firstDifference(ours, theirs)}`,
  );
}

export function vocabularyDiffers(what: string): QuasarError {
  return new QuasarError('infer.vocabulary_differs', `vocabularies differ: ${what}`, {
    hint: 'a teacher and its student must share one tokenizer',
  });
}

function firstDifference(ours: Tokenizer, theirs: Tokenizer): string {
  const [a, b] = [ours.vocabulary.tokens, theirs.vocabulary.tokens];
  const id = Array.from({ length: Math.max(a.length, b.length) }, (_, i) => i).find(
    (i) => latin1(a[i] ?? []) !== latin1(b[i] ?? []) || ours.isSpecial(i) !== theirs.isSpecial(i),
  );
  if (id === undefined) return 'the tokens agree, what is made of text does not';
  const [x, y] = [a[id], b[id]].map((bytes) => (bytes ? JSON.stringify(Buffer.from(bytes).toString()) : 'none'));
  return `the first difference is token ${id}: ${x} and ${y}`;
}

/** Bytes as a key. */
function latin1(bytes: ArrayLike<number>): string {
  return Buffer.from(bytes as Uint8Array).toString('latin1');
}

/** Tokens of a server, by whatever it calls them, as ids of our tokenizer; null where we have no such token. */
export class TokenLookup {
  readonly vocabSize: number;
  readonly #byBytes = new Map<string, number>();

  constructor(tokenizer: Tokenizer) {
    this.vocabSize = tokenizer.vocabSize;
    // Where text and a special token are written alike, text cannot be one token, so either order finds the right one.
    tokenizer.vocabulary.tokens.forEach((bytes, id) => {
      const key = latin1(bytes);
      if (bytes.length > 0 && !this.#byBytes.has(key)) this.#byBytes.set(key, id);
    });
  }

  ofId(id: number): number | null {
    return Number.isInteger(id) && id >= 0 && id < this.vocabSize ? id : null;
  }

  ofBytes(bytes: readonly number[]): number | null {
    return this.#byBytes.get(latin1(bytes)) ?? null;
  }

  /**
   * `token_id:123` (vLLM), `bytes:\xe2\x80` (OpenAI, for part of a character), or the text of the token. Text with U+FFFD
   * stands for bytes that the server did not say.
   */
  ofText(text: string): number | null {
    const id = /^token_id:(\d{1,9})$/.exec(text);
    if (id) return this.ofId(Number(id[1]));
    const bytes = /^bytes:((?:\\x[0-9a-f]{2})+)$/i.exec(text);
    if (bytes) return this.ofBytes([...Buffer.from(bytes[1]!.replaceAll('\\x', ''), 'hex')]);
    return text.includes('\ufffd') ? null : this.ofBytes([...Buffer.from(text)]);
  }
}

/** Letters, digits, spaces, punctuation, other scripts, a character of four bytes: what tokenizers cut differently. */
export const PROBES: readonly string[] = [
  'Hello world, what is 12345 + 6.78?',
  "  She'd said:\n\n\tdon't!  ",
  'naïve façade, Größe, coöperate',
  'Привет, мир. 你好世界 こんにちは',
  'for (let i = 0; i < n; i++) { total += x[i]; }',
  'A smile 🙂 and antidisestablishmentarianism',
];
