/** @file Source text into lines of tokens. Linear in the source. */
import { fail, MAX_SOURCE_CHARS } from './limits.ts';

export interface Token {
  kind: 'number' | 'string' | 'name' | 'keyword' | 'sign' | 'end';
  text: string;
}

/** One statement, or the head of a block. */
export interface Line {
  number: number;
  /** Spaces before it. */
  indent: number;
  tokens: Token[];
}

const KEYWORDS = new Set(
  'and or not in if elif else while for def return break continue pass True False None'.split(' '),
);
const TOKEN =
  /([0-9]+)|([A-Za-z_][A-Za-z0-9_]*)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(\/\/=|\*\*|\/\/|<=|>=|==|!=|\+=|-=|\*=|%=|[-+*%<>=()[\],:.])/y;
const ESCAPES: Record<string, string> = { n: '\n', t: '\t', "'": "'", '"': '"', '\\': '\\' };
const MAX_DIGITS = 15;

/** Blank lines and comments are left out. @throws QuasarError `world.program` */
export function readLines(source: string): Line[] {
  if (source.length > MAX_SOURCE_CHARS) fail(1, `more than ${MAX_SOURCE_CHARS} characters`);
  return source.split('\n').flatMap((text, i): Line[] => {
    const number = i + 1;
    const body = text.trimStart();
    if (body === '' || body.startsWith('#')) return [];
    const space = text.slice(0, text.length - body.length);
    if (/[^ ]/.test(space)) fail(number, 'indent by spaces');
    return [{ number, indent: space.length, tokens: readTokens(body, number) }];
  });
}

function readTokens(text: string, line: number): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; ) {
    if (text[at] === ' ' || text[at] === '\r') {
      at++;
      continue;
    }
    if (text[at] === '#') break;
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (!match) fail(line, `unexpected ${JSON.stringify(text[at])}`);
    const [whole, number, name, string] = match;
    if (number !== undefined) {
      if (number.length > MAX_DIGITS) fail(line, 'number too large');
      tokens.push({ kind: 'number', text: number });
    } else if (name !== undefined) tokens.push({ kind: KEYWORDS.has(name) ? 'keyword' : 'name', text: name });
    else if (string !== undefined) tokens.push({ kind: 'string', text: readEscapes(string.slice(1, -1), line) });
    else tokens.push({ kind: 'sign', text: whole });
    at += whole.length;
    if (number !== undefined && /[A-Za-z_]/.test(text[at] ?? '')) fail(line, `unexpected ${text[at]}`);
  }
  return tokens;
}

function readEscapes(text: string, line: number): string {
  return text.replace(/\\(.)/g, (_, char: string) => ESCAPES[char] ?? fail(line, `unknown escape \\${char}`));
}
