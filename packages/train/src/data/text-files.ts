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

export interface TextCorpus {
  files: string[];
  chars: number;
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
      .filter((file) => statSync(file).isFile())
      .sort();
    if (files.length > 0) return files;
  } catch (cause) {
    throw new QuasarError('data.unreadable', `--data ${path}: cannot read it`, {
      hint: 'give an existing file or folder that you may read',
      cause,
    });
  }
  throw new QuasarError('data.no_text', `--data ${path}: no ${EXTENSIONS.join(', ')} file in this folder`, {
    hint: 'put text files there or name one file',
  });
}

/** @throws QuasarError data.unreadable, data.no_text, data.too_short, data.not_text, data.bad_jsonl */
export function readText(path: string): string[] {
  const texts = textFiles(path).map((file) => {
    let bytes: Buffer;
    try {
      bytes = readFileSync(file);
    } catch (cause) {
      throw new QuasarError('data.unreadable', `--data ${file}: cannot read it`, {
        hint: 'give an existing file or folder that you may read',
        cause,
      });
    }
    if (bytes.subarray(0, 8192).includes(0)) {
      throw new QuasarError('data.not_text', `--data ${file}: this is a binary file`, {
        hint: `give ${EXTENSIONS.join(', ')} files in UTF-8`,
      });
    }
    const text = bytes.toString('utf8');
    return extname(file).toLowerCase() === '.jsonl' ? fromJsonl(file, text) : text;
  });
  const chars = texts.reduce((sum, t) => sum + t.trim().length, 0);
  if (chars < MIN_CHARS) {
    throw new QuasarError(
      'data.too_short',
      `--data ${path}: ${chars} characters of text, at least ${MIN_CHARS} are needed`,
      { hint: 'give more text' },
    );
  }
  return texts;
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

export function loadCorpus(path: string, tokenizer: Tokenizer): TextCorpus {
  const texts = readText(path);
  const [train, heldOut]: [Int32Array[], Int32Array[]] = [[], []];
  for (const text of texts) {
    const cut = Math.floor(text.length * (1 - HELD_OUT_SHARE));
    train.push(tokenizer.encode(text.slice(0, cut)));
    heldOut.push(tokenizer.encode(text.slice(cut)));
  }
  return {
    files: textFiles(path),
    chars: texts.reduce((sum, t) => sum + t.length, 0),
    train: concat(train),
    heldOut: concat(heldOut),
  };
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
