/**
 * @file The user's own text: a .txt, .md or .jsonl file, or a folder of them. Read whole and tokenised; the last tenth
 * of every file is held out and never trained on.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { QuasarError } from '@quasar/base';
import type { Tokenizer } from '@quasar/model';

const EXTENSIONS = ['.txt', '.md', '.jsonl'];
const HELD_OUT_SHARE = 0.1;
/** Below this a window of training text does not even fill a sentence. */
const MIN_CHARS = 200;

/** Token ids of all files, one after another. */
export interface TextCorpus {
  train: Int32Array;
  heldOut: Int32Array;
}

/** Files that `--data path` means, sorted. @throws QuasarError data.unreadable, data.no_text */
export function textFiles(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const files = readdirSync(path, { recursive: true, encoding: 'utf8' })
      .filter((name) => EXTENSIONS.includes(extname(name).toLowerCase()))
      .map((name) => join(path, name))
      // A link may lead nowhere.
      .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile())
      .sort();
    if (files.length > 0) return files;
  } catch (cause) {
    throw unreadable(path, cause);
  }
  throw new QuasarError('data.no_text', `--data ${path}: no ${EXTENSIONS.join(', ')} file in this folder`, {
    hint: 'put text files there or name one file',
  });
}

/**
 * The text of every file.
 * @throws QuasarError data.unreadable, data.no_text, data.too_short, data.not_text, data.bad_jsonl
 */
export function readText(path: string): string[] {
  const texts = textFiles(path).map((file) => {
    const text = decodeText(file);
    return extname(file).toLowerCase() === '.jsonl' ? fromJsonl(file, text) : text;
  });
  const chars = texts.reduce((sum, t) => sum + t.trim().length, 0);
  if (chars < MIN_CHARS) throw tooShort(path, `${chars} characters of text, at least ${MIN_CHARS} are needed`);
  return texts;
}

function decodeText(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw unreadable(file, cause);
  }
  try {
    if (!bytes.subarray(0, 8192).includes(0)) return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {}
  throw new QuasarError('data.not_text', `--data ${file}: this is no UTF-8 text`, {
    hint: `give ${EXTENSIONS.join(', ')} files in UTF-8`,
  });
}

function unreadable(path: string, cause: unknown): QuasarError {
  return new QuasarError('data.unreadable', `--data ${path}: cannot read it`, {
    hint: 'give an existing file or folder that you may read',
    cause,
  });
}

function tooShort(path: string, what: string): QuasarError {
  return new QuasarError('data.too_short', `--data ${path}: ${what}`, { hint: 'give more text' });
}

function fromJsonl(file: string, text: string): string {
  return text
    .split('\n')
    .map((line, i) => {
      if (line.trim() === '') return '';
      try {
        const value = JSON.parse(line) as { text?: unknown };
        if (typeof value.text === 'string') return value.text;
      } catch {}
      throw new QuasarError('data.bad_jsonl', `--data ${file}:${i + 1}: expected a JSON object with a "text" string`, {
        hint: 'one object per line, {"text": "..."}',
      });
    })
    .join('\n');
}

/** @throws QuasarError as `readText` */
export function loadCorpus(path: string, tokenizer: Tokenizer): TextCorpus {
  const [train, heldOut]: [Int32Array[], Int32Array[]] = [[], []];
  for (const text of readText(path)) {
    const cut = heldOutStart(text);
    train.push(tokenizer.encode(text.slice(0, cut)));
    heldOut.push(tokenizer.encode(text.slice(cut)));
  }
  const corpus = { train: concat(train), heldOut: concat(heldOut) };
  if (corpus.train.length === 0) throw tooShort(path, 'the files are too small to hold out a tenth of each');
  return corpus;
}

/** Never inside of a surrogate pair. */
function heldOutStart(text: string): number {
  const cut = Math.floor(text.length * (1 - HELD_OUT_SHARE));
  const isInPair = text.codePointAt(cut - 1) !== text.charCodeAt(cut - 1);
  return cut > 0 && isInPair ? cut - 1 : cut;
}

function concat(parts: Int32Array[]): Int32Array {
  const out = new Int32Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
