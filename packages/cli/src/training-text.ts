/** @file `--data FOLDER|FILE`, checked before anything starts: it can be read, it is text, and there is some. */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';

const ENDINGS = /\.(txt|md|jsonl)$/i;
/** Enough to tell text from bytes, without reading a corpus twice. */
const PROBE_BYTES = 65_536;

/**
 * @param path absolute path of a file (any name) or of a folder with .txt, .md or .jsonl files
 * @throws usage.data_unreadable, usage.data_empty
 */
export function checkTrainingText(path: string): void {
  const files = textFiles(path);
  if (files.length === 0) {
    throw new QuasarError('usage.data_empty', `--data ${path}: no .txt, .md or .jsonl file in this folder`, {
      hint: 'give a folder or file with text',
    });
  }
  // Every file is probed, so that a broken one is found now and not after minutes of training.
  const hasText = files.map(probe);
  if (hasText.includes(true)) return;
  throw new QuasarError('usage.data_empty', `--data ${path}: there is no text in it`, {
    hint: 'give a folder or file with text',
  });
}

function textFiles(path: string): string[] {
  return reading(path, () => {
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path, { recursive: true, encoding: 'utf8' })
      .filter((name) => ENDINGS.test(name))
      .map((name) => join(path, name))
      .filter((file) => statSync(file).isFile())
      .sort();
  });
}

/** Does the file begin with something other than white space? */
function probe(path: string): boolean {
  return reading(path, () => {
    const bytes = Buffer.alloc(PROBE_BYTES);
    const fd = openSync(path, 'r');
    let length: number;
    try {
      length = readSync(fd, bytes, 0, PROBE_BYTES, 0);
    } finally {
      closeSync(fd);
    }
    // `stream`: a character cut by the end of the probe is not an error.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length), {
      stream: length === PROBE_BYTES,
    });
    return text.trim() !== '';
  });
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = { ENOENT: 'no such file or folder', EACCES: 'no permission to read it' }[code ?? ''];
    const isEncoding = code === 'ERR_ENCODING_INVALID_ENCODED_DATA';
    throw new QuasarError(
      'usage.data_unreadable',
      `--data ${path}: ${isEncoding ? 'not UTF-8 text' : (why ?? message)}`,
      {
        hint: isEncoding ? 'convert it to UTF-8' : 'check the path and its permissions',
        cause,
      },
    );
  }
}
