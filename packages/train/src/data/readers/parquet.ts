/**
 * @file Parquet: the column of texts, or of conversations, one row group at a time.
 *
 * Covered: files cut short, sizes beyond memory, missing columns. Not covered: bytes changed inside of a page, for which the library
 * may compute for ever; files of the hub are checked against their digest before they come here.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { QuasarError } from '@quasar/base';
import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import type { DataFile } from '../files.ts';
import { BadBytes, unreadable } from './bytes.ts';
import { decodeUtf8, ENCODING_HINT, MAX_DOCUMENT_BYTES, type RawDocument, type ReadOptions } from './document.ts';
import { parseMessages } from './messages.ts';

/** Unpacked size of the columns that are read, per row group: what is in memory at once. Usual are 1 to 200 MiB. */
const MAX_GROUP_BYTES = 512 * 2 ** 20;

/** Stands for a string whose bytes are no UTF-8. */
const NO_UTF8 = Symbol('no UTF-8');

/** Rows without a text are passed over. @throws BadBytes `data.bad_parquet` | `data.parquet_group` | `data.no_column` */
export async function* readParquet(file: DataFile, options: ReadOptions): AsyncGenerator<RawDocument[]> {
  const handle = await open(file.path).catch((cause: unknown) => {
    throw unreadable(file.path, cause);
  });
  try {
    const buffer = bufferOf(handle, file);
    const metadata = await parsed(parquetMetadataAsync(buffer));
    const column = chooseColumn(metadata, options.textField);
    let rowStart = 0;
    for (const [index, group] of metadata.row_groups.entries()) {
      const rows = Number(group.num_rows);
      checkGroup(group, column, index);
      const read = await parsed(
        parquetReadObjects({
          ...{ file: buffer, metadata, compressors: COMPRESSORS, columns: [column] },
          ...{ rowStart, rowEnd: rowStart + rows, parsers: { stringFromBytes } },
        }),
      );
      yield read.flatMap((row, i) => {
        const found = fromCell(row[column], column);
        if (found === null || !('code' in found)) return found ?? [];
        options.onSkip({ line: rowStart + i + 1, ...found });
        return [];
      });
      rowStart += rows;
      options.onBytes?.(file.sizeBytes / metadata.row_groups.length);
    }
  } finally {
    await handle.close();
  }
}

/** Errors of the library are findings about the file, except when the disk fails. */
async function parsed<T>(result: Promise<T>): Promise<T> {
  return result.catch((cause: unknown) => {
    if (cause instanceof BadBytes || cause instanceof QuasarError) throw cause;
    const message = `no whole Parquet file: ${(cause as Error).message}`;
    throw new BadBytes('data.bad_parquet', message, 'the file may be cut short; fetch or write it again');
  });
}

function bufferOf(handle: FileHandle, file: DataFile): AsyncBuffer {
  return {
    byteLength: file.sizeBytes,
    async slice(start, end = file.sizeBytes) {
      if (!(start >= 0 && start <= end && end <= file.sizeBytes)) {
        throw new RangeError(`a part at byte ${start} to ${end} of ${file.sizeBytes}`);
      }
      const bytes = new Uint8Array(end - start);
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, start + done).catch((cause) => {
          throw unreadable(file.path, cause);
        });
        if (bytesRead === 0) throw new RangeError(`the file ends at byte ${start + done}`);
        done += bytesRead;
      }
      return bytes.buffer;
    },
  };
}

function chooseColumn(metadata: FileMetaData, textField: string): string {
  const [root, ...elements] = metadata.schema;
  const names: string[] = [];
  // The schema is a tree in depth-first order: top columns are the children of the root.
  for (let at = 0, left = root?.num_children ?? 0; left > 0 && at < elements.length; left--) {
    names.push((elements[at] as { name: string }).name);
    for (let open = 1; open > 0 && at < elements.length; at++) open += (elements[at]?.num_children ?? 0) - 1;
  }
  const column = [textField, 'messages'].find((name) => names.includes(name));
  if (column !== undefined) return column;
  throw new BadBytes(
    'data.no_column',
    `no column "${textField}" or "messages", only ${names.slice(0, 20).join(', ') || 'none at all'}`,
    'name the column of the text with --text-field',
  );
}

function checkGroup(group: FileMetaData['row_groups'][number], column: string, index: number): void {
  const chunks = group.columns.flatMap(({ meta_data: meta }) => (meta?.path_in_schema[0] === column ? [meta] : []));
  const bytes = chunks.reduce((sum, meta) => sum + Number(meta.total_uncompressed_size), 0);
  if (bytes <= MAX_GROUP_BYTES) return;
  throw new BadBytes(
    'data.parquet_group',
    `row group ${index + 1} has ${bytes} bytes of "${column}", at most ${MAX_GROUP_BYTES} are read at once`,
    'write the file again with smaller row groups',
  );
}

/** Null for a row without text. */
function fromCell(cell: unknown, column: string): RawDocument | { code: string; message: string; hint: string } | null {
  const bad = (message: string) => ({ code: 'data.bad_row', message, hint: 'see --text-field for another column' });
  if (cell === null || cell === undefined || cell === '') return null;
  if (cell === NO_UTF8) return { code: 'data.not_text', message: 'the row is no UTF-8', hint: ENCODING_HINT };
  if (column === 'messages' && typeof cell === 'object') {
    const messages = parseMessages(cell);
    return typeof messages === 'string' ? bad(`expected messages, got ${messages}`) : { messages };
  }
  if (typeof cell !== 'string') return bad(`expected a text in "${column}", got ${typeof cell}`);
  if (cell.length > MAX_DOCUMENT_BYTES) {
    return {
      code: 'data.line_too_long',
      message: `the row has ${cell.length} characters, at most ${MAX_DOCUMENT_BYTES} are read`,
      hint: 'cut the document into several rows',
    };
  }
  return { text: cell, continues: false };
}

function stringFromBytes(bytes: Uint8Array | undefined): string | symbol | undefined {
  return bytes === undefined ? undefined : (decodeUtf8(bytes) ?? NO_UTF8);
}

/** Unpackers that first look at the length that a page declares: memory of that size is taken before a byte is unpacked. */
const COMPRESSORS = Object.fromEntries(
  Object.entries(compressors).map(([codec, unpack]) => [
    codec,
    (input: Uint8Array, outputBytes: number) => {
      if (outputBytes <= MAX_GROUP_BYTES) return unpack(input, outputBytes);
      throw new RangeError(`a page that unpacks to ${outputBytes} bytes`);
    },
  ]),
);
