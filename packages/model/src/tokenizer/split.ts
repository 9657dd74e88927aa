/**
 * @file The ways in which public byte-level tokenizers cut text into pieces, by the regular expression that their files hold.
 * A regular expression of a stranger is a program that can run for hours, so none is run: a file names one of these, and its
 * cuts are made by one pass over the text. Equal to what Onigmo finds for the expression, but for its version of Unicode.
 */
import { PIECE_PATTERN, pieces } from './pieces.ts';

/** What a piece may be, tried in this order: contraction, word, digits, symbols, line ends, blanks. */
interface Rules {
  /** `'s`, `'re` and their like; `any`: in upper case too, and `'ſ`, which folds to `'s`. */
  contractions: 'lower' | 'any';
  /** What may stand before a word: a space, or any one character that is no line end, letter or digit. */
  prefix: 'space' | 'other';
  /** Combining marks belong to words. */
  marks: boolean;
  /** Digits of a piece at most; a space may come before them where it is infinite. */
  digits: number;
  /** Line ends end a piece of symbols, and a piece of blanks. */
  lineEnds: boolean;
}

const gpt4 = (digits: number, marks = false): Rules => ({
  contractions: 'any',
  prefix: 'other',
  marks,
  digits,
  lineEnds: true,
});

/** GPT-2's, which the pre-tokenizer ByteLevel has built in. */
export const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const gpt4Pattern = (digits: string) =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const bailing = (digits: string) =>
  `'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+`;

const RULES: Readonly<Record<string, Rules>> = {
  [GPT2_PATTERN]: {
    contractions: 'lower',
    prefix: 'space',
    marks: false,
    digits: Number.POSITIVE_INFINITY,
    lineEnds: false,
  },
  // Llama 3 and GPT-4; Qwen 2 to 3; Qwen 3.5, the 248,320 entries of Quasar-3B; Bailing, the 157,184 of Quasar-Preview.
  [gpt4Pattern('\\p{N}{1,3}')]: gpt4(3),
  [gpt4Pattern('\\p{N}')]: gpt4(1),
  [`${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`]:
    gpt4(1, true),
  [bailing('\\p{N}')]: gpt4(1),
  [bailing('\\p{N}{1,3}')]: gpt4(3),
};

/** Whether `split` knows this expression. */
export function isKnownPattern(pattern: unknown): pattern is string {
  return typeof pattern === 'string' && (pattern === PIECE_PATTERN || Object.hasOwn(RULES, pattern));
}

/** The pieces of `text` in order, by a known pattern; joined they are `text`. */
export function split(text: string, pattern: string): Iterable<string> {
  const rules = RULES[pattern];
  return rules ? splitByRules(text, rules) : pieces(text);
}

const [LETTER, DIGIT, MARK, BLANK, LINE_END, SYMBOL] = [1, 2, 3, 4, 5, 6];
/** Kind per code point, filled on first use; 0 is unknown. */
const kinds = new Uint8Array(0x110000);

function kindOf(codePoint: number): number {
  const known = kinds[codePoint] as number;
  if (known !== 0) return known;
  const char = String.fromCodePoint(codePoint);
  const kind = /[\r\n]/.test(char)
    ? LINE_END
    : /\p{White_Space}/u.test(char)
      ? BLANK
      : /\p{L}/u.test(char)
        ? LETTER
        : /\p{N}/u.test(char)
          ? DIGIT
          : /\p{M}/u.test(char)
            ? MARK
            : SYMBOL;
  kinds[codePoint] = kind as number;
  return kind as number;
}

const SPACE = 0x20;
const APOSTROPHE = 0x27;

function* splitByRules(text: string, rules: Rules): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const end = pieceEnd(text, start, rules);
    yield text.slice(start, end);
    start = end;
  }
}

function pieceEnd(text: string, start: number, rules: Rules): number {
  const first = text.codePointAt(start) as number;
  const contraction = first === APOSTROPHE ? contractionEnd(text, start, rules) : -1;
  if (contraction > 0) return contraction;
  const isWord = (kind: number) => kind === LETTER || (rules.marks && kind === MARK);
  const isSymbol = (kind: number) => kind === SYMBOL || (!rules.marks && kind === MARK);
  const run = (from: number, belongs: (kind: number) => boolean) => {
    let at = from;
    while (at < text.length) {
      const codePoint = text.codePointAt(at) as number;
      if (!belongs(kindOf(codePoint))) break;
      at += width(codePoint);
    }
    return at;
  };
  const kind = kindOf(first);
  if (isWord(kind)) return run(start, isWord);
  const after = start + width(first);
  const nextKind = after < text.length ? kindOf(text.codePointAt(after) as number) : 0;
  const mayPrefix = rules.prefix === 'space' ? first === SPACE : kind !== LINE_END && kind !== DIGIT;
  if (mayPrefix && isWord(nextKind)) return run(after, isWord);
  if (kind === DIGIT) return digitsEnd(text, start, rules);
  if (first === SPACE && nextKind === DIGIT && rules.prefix === 'space') return digitsEnd(text, after, rules);
  if (isSymbol(kind) || (first === SPACE && isSymbol(nextKind))) {
    const end = run(isSymbol(kind) ? start : after, isSymbol);
    return rules.lineEnds ? run(end, (each) => each === LINE_END) : end;
  }
  return blanksEnd(text, start, rules);
}

function digitsEnd(text: string, start: number, { digits }: Rules): number {
  let at = start;
  for (let n = 0; n < digits && at < text.length; n++) {
    const codePoint = text.codePointAt(at) as number;
    if (kindOf(codePoint) !== DIGIT) break;
    at += width(codePoint);
  }
  return at;
}

/**
 * Of a run of blanks and line ends: up to its last line end, where rules say so; else all of it at the end of the text, and all
 * but the last before something else, which may begin with that one.
 */
function blanksEnd(text: string, start: number, { lineEnds }: Rules): number {
  let [at, last, lastLineEnd] = [start, start, -1];
  while (at < text.length) {
    // All white space lies below U+10000.
    const kind = kindOf(text.charCodeAt(at));
    if (kind !== BLANK && kind !== LINE_END) break;
    last = at++;
    if (kind === LINE_END) lastLineEnd = at;
  }
  if (lineEnds && lastLineEnd > 0) return lastLineEnd;
  return at === text.length || last === start ? at : last;
}

/** End of `'s`, `'t`, `'m`, `'d`, `'re`, `'ve`, `'ll`, or -1. */
function contractionEnd(text: string, start: number, { contractions }: Rules): number {
  const given = text.slice(start + 1, start + 3);
  const two = contractions === 'any' ? given.toLowerCase().replaceAll('ſ', 's') : given;
  if (/^[stmd]/.test(two)) return start + 2;
  return /^(re|ve|ll)/.test(two) ? start + 3 : -1;
}

function width(codePoint: number): number {
  return codePoint > 0xffff ? 2 : 1;
}
