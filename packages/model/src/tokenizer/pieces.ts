/**
 * @file Cutting text into the pieces inside which byte pairs may merge.
 *
 * A piece is a word with the space before it, one digit, a run of symbols with the space before it, a run of line
 * ends, or a run of other blanks. Digits stay single, so numbers are read digit by digit. Blanks are listed and not
 * written `\s`, because regular-expression engines disagree on `\s`; on this pattern they all agree.
 */

/** The pieces as a regular expression, for `tokenizer.json`. Every code point matches one alternative. */
export const PIECE_PATTERN = ' ?[\\p{L}\\p{M}]+|\\p{N}| ?[^ \\t\\r\\n\\p{L}\\p{M}\\p{N}]+|[\\r\\n]+|[ \\t]+';

const [LETTER, DIGIT, SYMBOL, LINE_END, BLANK] = [1, 2, 3, 4, 5];
const SPACE = 0x20;

/** Kind per code point, filled on first use; 0 is unknown. */
const kinds = new Uint8Array(0x110000);

function kindOf(codePoint: number): number {
  const known = kinds[codePoint]!;
  if (known !== 0) return known;
  const char = String.fromCodePoint(codePoint);
  const kind = /[ \t]/.test(char)
    ? BLANK
    : /[\r\n]/.test(char)
      ? LINE_END
      : /[\p{L}\p{M}]/u.test(char)
        ? LETTER
        : /\p{N}/u.test(char)
          ? DIGIT
          : SYMBOL;
  kinds[codePoint] = kind!;
  return kind!;
}

/**
 * The pieces of `text` in order; joined they are `text`. The same cuts as `PIECE_PATTERN`, without a regular
 * expression: V8 runs out of stack on a run of some millions of emoji.
 */
export function* pieces(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    let at = start;
    let codePoint = text.codePointAt(at)!;
    let kind = kindOf(codePoint);
    if (codePoint === SPACE && at + 1 < text.length) {
      const after = text.codePointAt(at + 1)!;
      const kindAfter = kindOf(after);
      if (kindAfter === LETTER || kindAfter === SYMBOL) [at, codePoint, kind] = [at + 1, after, kindAfter];
    }
    do {
      at += codePoint > 0xffff ? 2 : 1;
      if (at >= text.length || kind === DIGIT) break;
      codePoint = text.codePointAt(at)!;
    } while (kindOf(codePoint) === kind);
    yield text.slice(start, at);
    start = at;
  }
}
