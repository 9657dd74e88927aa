/** @file Plain text, passage by passage. */
import type { DataFile } from '../files.ts';
import { readBytes } from './bytes.ts';
import { decodeUtf8, ENCODING_HINT, type RawDocument, type ReadOptions } from './document.ts';
import { readPassages } from './passages.ts';

const LINE_FEED = 0x0a;
const BYTE_ORDER_MARK = '\ufeff';

/** Passages that are no UTF-8 are passed over; a file that begins like a binary one is given up. */
export async function* readText(file: DataFile, options: ReadOptions): AsyncGenerator<RawDocument[]> {
  const { onSkip } = options;
  const skip = (line: number | undefined, message: string) =>
    onSkip({ line, code: 'data.not_text', message, hint: ENCODING_HINT });
  let line = 1;
  let isStart = true;
  let continues = false;
  for await (const passages of readPassages(readBytes(file, options.onBytes), options.passageBytes)) {
    const documents: RawDocument[] = [];
    for (const bytes of passages) {
      if (isStart && bytes.includes(0)) return skip(undefined, 'a binary file: it begins with NUL bytes');
      const text = decodeUtf8(bytes);
      if (text === null) {
        skip(line, `${bytes.length} bytes from here on hold some that are no UTF-8`);
        continues = false;
      } else {
        documents.push({ text: isStart && text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text, continues });
        continues = true;
      }
      isStart = false;
      for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) line++;
    }
    yield documents;
  }
}
