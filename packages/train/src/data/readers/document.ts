/** @file What a reader of data files yields, and what it passes over. */
import type { ChatMessage } from '@quasar/model';

/**
 * A text, or a conversation. A long plain text comes as passages, each of which but the first `continues` the one before it:
 * joined they are the text.
 */
export type RawDocument = { text: string; continues: boolean } | { messages: ChatMessage[] };

/** Something in a file that cannot be used; the reader goes on behind it. */
export interface Skip {
  /** Line of a text or of JSONL, row of Parquet, from 1; absent when the whole file is meant. */
  line?: number | undefined;
  /** `data.*`, as of the error that is thrown when nothing else is in the file. */
  code: string;
  /** What was found and what was expected. */
  message: string;
  hint: string;
}

export interface ReadOptions {
  /** Member of a JSONL object, or column of Parquet, that holds the text. */
  textField: string;
  /** Size of the passages of a plain text: at least this many bytes, at most twice as many. */
  passageBytes: number;
  onSkip(skip: Skip): void;
  /** Hears of bytes of the file, as they are read. */
  onBytes?: ((bytes: number) => void) | undefined;
}

/** Longest line or row: the longest novels have five million characters. Nothing longer is ever held in memory. */
export const MAX_DOCUMENT_BYTES = 16 * 2 ** 20;

export const ENCODING_HINT = 'give text in UTF-8; a file of another encoding can be converted with iconv';

/** @returns null for bytes that are no UTF-8, or hold a NUL, which no text does */
export function decodeUtf8(bytes: Uint8Array): string | null {
  if (bytes.includes(0)) return null;
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}

/** A byte order mark is kept: it may stand anywhere in a text, and readers drop the first of a file themselves. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
