/** @file The data files that a path means. */
import { readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import { unreadable } from './readers/bytes.ts';

export type DataFormat = 'text' | 'jsonl' | 'parquet';

export interface DataFile {
  path: string;
  /** What messages call it, when not by its path. */
  label?: string | undefined;
  format: DataFormat;
  isGzip: boolean;
  sizeBytes: number;
  /** Of the bytes of the file, where somebody has counted them already. */
  sha256?: string | undefined;
}

/** What a folder or a repository is searched for, for messages. */
export const DATA_EXTENSIONS = '.txt, .md, .jsonl or .parquet';

const FORMATS: Record<string, DataFormat> = {
  txt: 'text',
  md: 'text',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  parquet: 'parquet',
};

/** By the end of the name; null for names that are no data. */
export function formatOf(name: string): Pick<DataFile, 'format' | 'isGzip'> | null {
  const [, extension = '', gz] = /\.([a-z]+)(\.gz)?$/.exec(name.toLowerCase()) ?? [];
  const format = FORMATS[extension];
  return format === undefined || (format === 'parquet' && gz !== undefined)
    ? null
    : { format, isGzip: gz !== undefined };
}

/**
 * One file, of any name (plain text if the name says nothing else), or the data files in and below a folder, by path.
 * @throws QuasarError data.unreadable, data.no_text
 */
export function listFiles(path: string): DataFile[] {
  try {
    const found = statSync(path);
    if (!found.isDirectory()) return [fileOf(path, found)];
    const files = readdirSync(path, { recursive: true, encoding: 'utf8' })
      .filter((name) => formatOf(name) !== null)
      .map((name) => join(path, name))
      .sort()
      .flatMap((file) => {
        // A link may lead nowhere.
        const found = statSync(file, { throwIfNoEntry: false });
        return found?.isFile() ? [fileOf(file, found)] : [];
      });
    if (files.length > 0) return files;
  } catch (cause) {
    throw unreadable(path, cause);
  }
  throw new QuasarError('data.no_text', `--data ${path}: no ${DATA_EXTENSIONS} file in this folder`, {
    hint: 'put data files there or name one file',
  });
}

function fileOf(path: string, found: Stats): DataFile {
  const format = formatOf(path) ?? { format: 'text', isGzip: false };
  return { path, ...format, sizeBytes: found.size };
}
