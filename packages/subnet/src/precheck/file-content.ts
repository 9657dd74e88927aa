/**
 * @file Check: what a file begins with. A name proves nothing: a pickle called README.md is still a pickle, and somebody
 * will open it.
 *
 * Read by small ranges before the download. Known formats are named; a README has to be plain text throughout.
 */
import type { Issue } from '@quasar/base';
import type { HubFile } from '@quasar/hub';
import type { SubmissionSource } from './source.ts';

const HEAD_BYTES = 64;

const latin = (text: string) => [...text].map((letter) => letter.charCodeAt(0));

/** First bytes of what is never part of a submission. */
const FORMATS: [first: readonly number[], what: string][] = [
  [latin('PK\x03\x04'), 'a zip archive (PyTorch weights are pickles in one)'],
  [latin('PK\x05\x06'), 'a zip archive'],
  ...[2, 3, 4, 5].map((protocol): [number[], string] => [
    [0x80, protocol],
    'a pickle, which runs code when it is loaded',
  ]),
  [[0x1f, 0x8b], 'a gzip stream'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'a zstd stream'],
  [latin('BZh'), 'a bzip2 stream'],
  [[0xfd, ...latin('7zXZ')], 'an xz stream'],
  [latin('7z\xbc\xaf'), 'a 7z archive'],
  [latin('Rar!'), 'a rar archive'],
  [latin('GGUF'), 'a GGUF file'],
  [latin('\x93NUMPY'), 'a numpy array'],
  [latin('\x89HDF'), 'an HDF5 file'],
  [latin('\x7fELF'), 'a native program or library'],
  [latin('MZ'), 'a Windows program or library'],
  [[0xcf, 0xfa, 0xed, 0xfe], 'a macOS program or library'],
  [latin('\0asm'), 'a WebAssembly module'],
  [latin('#!'), 'a script'],
  [latin('version https://git-lfs'), 'an LFS pointer: the file itself was never uploaded'],
  [latin('<!DOCTYPE html'), 'an HTML page: an upload or download went wrong'],
  [latin('<html'), 'an HTML page: an upload or download went wrong'],
];

/** Text that neither a terminal nor a page takes for an instruction. Tabs and line ends are allowed. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

const TEXTS = ['README.md'];

/** @param file one that is read, its size checked before */
export async function checkFileContent(source: SubmissionSource, { path, sizeBytes }: HubFile): Promise<Issue[]> {
  const isText = TEXTS.includes(path);
  const bytes = await source.readRange(path, 0, isText ? sizeBytes : Math.min(HEAD_BYTES, sizeBytes));
  const found = formatOf(bytes, isText) ?? (isText && !isPlainText(bytes) ? 'no plain text' : null);
  if (found === null) return [];
  return [
    {
      code: 'precheck.file_content',
      path,
      message: `the file is ${found}, told by its content`,
      hint: 'Publish the files of the checkpoint as they are: JSON, safetensors and a README of plain text.',
    },
  ];
}

/** A text may begin with the letters of a format: only those with bytes that no text has, and scripts, count then. */
function formatOf(bytes: Uint8Array, isText: boolean): string | null {
  const format = FORMATS.find(([first]) => first.every((byte, i) => bytes[i] === byte));
  if (!format) return null;
  const [first, what] = format;
  const isLetters = first.every((byte) => byte >= 0x20 && byte < 0x7f);
  const isProse = isText && isLetters && !what.includes('script') && !what.includes('LFS') && isPlainText(bytes);
  return isProse ? null : what;
}

function isPlainText(bytes: Uint8Array): boolean {
  try {
    return !CONTROL.test(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return false;
  }
}
