/** @file The bytes of a file in pieces, unpacked where it is gzip (RFC 1952), with a guard against bombs. */
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { QuasarError } from '@quasar/base';
import type { DataFile } from '../files.ts';

const PIECE_BYTES = 256 * 1024;

/** Text shrinks three to ten times, very dull text thirty; a bomb of zeros a thousand times. */
const MAX_RATIO = 200;
/** Below this a high ratio costs nothing. */
const FREE_BYTES = 64 * 2 ** 20;

/** What may follow from the bytes of a file itself, in contrast to a disk that fails. */
export class BadBytes extends Error {
  readonly code: string;
  readonly hint: string;

  constructor(code: string, message: string, hint: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/**
 * @param onBytes hears of the bytes of the file, not of those that come out of gzip
 * @throws BadBytes `data.bad_gzip` | `data.gzip_bomb`; QuasarError `data.unreadable`
 */
export async function* readBytes(file: DataFile, onBytes?: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  let packedBytes = 0;
  const source = createReadStream(file.path, { highWaterMark: PIECE_BYTES });
  source.on('data', (piece) => {
    packedBytes += piece.length;
    onBytes?.(piece.length);
  });
  if (!file.isGzip) {
    try {
      for await (const piece of source) yield piece as Uint8Array;
    } catch (cause) {
      throw unreadable(file.path, cause);
    } finally {
      source.destroy();
    }
    return;
  }
  let readFailure: unknown;
  const unpacked = createGunzip({ chunkSize: PIECE_BYTES });
  source.on('error', (error) => {
    readFailure = error;
    unpacked.destroy(error);
  });
  source.pipe(unpacked);
  let bytes = 0;
  try {
    for await (const piece of unpacked) {
      bytes += (piece as Uint8Array).length;
      if (bytes > FREE_BYTES && bytes > MAX_RATIO * packedBytes) {
        const message = `${packedBytes} bytes of gzip unpack to more than ${bytes}, at most ${MAX_RATIO} times as many are allowed`;
        throw new BadBytes('data.gzip_bomb', message, 'unpack the file yourself if it is what you want to train on');
      }
      yield piece as Uint8Array;
    }
  } catch (cause) {
    if (readFailure !== undefined) throw unreadable(file.path, readFailure);
    if (cause instanceof Error && 'code' in cause && String(cause.code).startsWith('Z_')) {
      const message = `no whole gzip file: ${cause.message} after ${bytes} bytes`;
      throw new BadBytes('data.bad_gzip', message, 'check the file with `gzip -t`; it may be cut short');
    }
    throw cause;
  } finally {
    source.destroy();
    unpacked.destroy();
  }
}

export function unreadable(path: string, cause: unknown): QuasarError {
  return new QuasarError('data.unreadable', `--data ${path}: cannot read it: ${(cause as Error).message}`, {
    hint: 'give an existing file or folder that you may read',
    cause,
  });
}
