/** @file The documents of a file, whatever its format. */
import type { DataFile } from '../files.ts';
import { BadBytes } from './bytes.ts';
import type { RawDocument, ReadOptions } from './document.ts';
import { readJsonl } from './jsonl.ts';
import { readText } from './text.ts';

const READERS = {
  text: readText,
  jsonl: readJsonl,
  /** Loaded when there is Parquet to read: it brings five decompressors. */
  async *parquet(file: DataFile, options: ReadOptions): AsyncGenerator<RawDocument[]> {
    const { readParquet } = await import('./parquet.ts');
    yield* readParquet(file, options);
  },
};

/**
 * The documents in their order, some at a time. What cannot be used goes to `onSkip`, up to the whole file.
 * @throws QuasarError data.unreadable when the disk or its owner refuses
 */
export async function* readDocuments(file: DataFile, options: ReadOptions): AsyncGenerator<RawDocument[]> {
  try {
    yield* READERS[file.format](file, options);
  } catch (error) {
    if (!(error instanceof BadBytes)) throw error;
    options.onSkip({ code: error.code, message: error.message, hint: error.hint });
  }
}
