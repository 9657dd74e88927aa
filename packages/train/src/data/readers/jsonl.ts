/** @file JSONL: one object per line, with a text or with the messages of a conversation. */
import type { DataFile } from '../files.ts';
import { readBytes } from './bytes.ts';
import { decodeUtf8, ENCODING_HINT, MAX_DOCUMENT_BYTES, type RawDocument, type ReadOptions } from './document.ts';
import { type Line, readLines } from './lines.ts';
import { parseMessages } from './messages.ts';

/** Broken lines are passed over; a file that begins like a binary one is given up. */
export async function* readJsonl(file: DataFile, options: ReadOptions): AsyncGenerator<RawDocument[]> {
  let number = 0;
  for await (const lines of readLines(readBytes(file, options.onBytes), MAX_DOCUMENT_BYTES)) {
    const documents: RawDocument[] = [];
    for (const line of lines) {
      number++;
      if (number === 1 && line instanceof Uint8Array && line.subarray(0, 8192).includes(0)) {
        const message = 'a binary file: it begins with NUL bytes';
        options.onSkip({ code: 'data.not_text', message, hint: ENCODING_HINT });
        return;
      }
      const parsed = parseLine(line, options.textField);
      if (parsed === null) continue;
      if ('code' in parsed) options.onSkip({ line: number, ...parsed });
      else documents.push(parsed);
    }
    yield documents;
  }
}

/** Null for an empty line. */
function parseLine(
  line: Line,
  textField: string,
): RawDocument | { code: string; message: string; hint: string } | null {
  if (!(line instanceof Uint8Array)) {
    return {
      code: 'data.line_too_long',
      message: `the line has ${line.tooLongBytes} bytes, at most ${MAX_DOCUMENT_BYTES} are read`,
      hint: 'cut the document into several lines; one JSON list of all documents is no JSONL',
    };
  }
  const text = decodeUtf8(line);
  if (text === null) return { code: 'data.not_text', message: 'the line is no UTF-8', hint: ENCODING_HINT };
  if (text.trim() === '') return null;
  const expected = `expected a JSON object with a "${textField}" string or a "messages" list`;
  const bad = (got: string) => ({
    code: 'data.bad_jsonl',
    message: `${expected}, got ${got}`,
    hint: `one object per line, {"${textField}": "..."}; --text-field names another member`,
  });
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\ufeff/, ''));
  } catch (error) {
    return bad(`what is no JSON: ${(error as Error).message.slice(0, 100)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return bad(show(value));
  const object = value as Record<string, unknown>;
  const content = Object.hasOwn(object, textField) ? object[textField] : undefined;
  if (typeof content === 'string') return content === '' ? null : { text: content, continues: false };
  if (content === undefined && Object.hasOwn(object, 'messages')) {
    const messages = parseMessages(object.messages);
    return typeof messages === 'string' ? bad(messages) : { messages };
  }
  if (content !== undefined) return bad(`"${textField}": ${show(content)}`);
  return bad(`an object with ${Object.keys(object).slice(0, 8).join(', ').slice(0, 100) || 'nothing in it'}`);
}

function show(value: unknown): string {
  return (JSON.stringify(value) as string).slice(0, 60);
}
