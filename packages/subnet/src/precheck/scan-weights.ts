/**
 * @file One pass over a weights file: per tensor its sha256, bad values, scale, and values at chosen positions.
 *
 * Works on bytes in bounded chunks: a 3B checkpoint needs no more memory than a small one. Digests are per tensor, so
 * they do not change with file order or sharding.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { formatIssues, QuasarError } from '@quasar/base';
import { decodeTensor, headerLength, readSafetensorsHeader, type SafetensorsHeader } from '@quasar/model';

export interface TensorScan {
  dtype: string;
  shape: number[];
  sha256: string;
  /** NaN and infinite values. */
  nonFinite: number;
  /** Index of the first of them; -1: there is none. */
  firstNonFinite: number;
  /** Largest magnitude among finite values. */
  maxAbs: number;
  /** Root mean square of finite values. */
  rms: number;
  /** Values at the positions asked for, in that order. */
  samples: number[];
}

const CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * @param positionsOf element positions to sample from a tensor of `size` elements
 * @throws QuasarError `checkpoint.invalid` when the file is no safetensors file
 */
export async function scanWeights(
  path: string,
  positionsOf: (name: string, size: number) => readonly number[] = () => [],
): Promise<Map<string, TensorScan>> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const header = await readHeader(file, size, path);
    const scans = new Map<string, TensorScan>();
    for (const [name, entry] of header.tensors) {
      const width = entry.dtype === 'F32' ? 4 : 2;
      scans.set(name, await scanTensor(file, entry, positionsOf(name, (entry.end - entry.start) / width)));
    }
    return scans;
  } finally {
    await file.close();
  }
}

async function readHeader(file: FileHandle, sizeBytes: number, path: string): Promise<SafetensorsHeader> {
  const length = headerLength(await readAt(file, 0, Math.min(8, sizeBytes)), sizeBytes);
  const header = length.ok ? readSafetensorsHeader(await readAt(file, 0, 8 + length.value), sizeBytes) : length;
  if (header.ok) return header.value;
  throw new QuasarError('checkpoint.invalid', `${path}: ${formatIssues(header.issues)}`, { data: header.issues });
}

type Entry = SafetensorsHeader['tensors'] extends Map<string, infer E> ? E : never;

async function scanTensor(file: FileHandle, entry: Entry, positions: readonly number[]): Promise<TensorScan> {
  const hash = createHash('sha256');
  const width = entry.dtype === 'F32' ? 4 : 2;
  const samples = new Array<number>(positions.length).fill(0);
  let [nonFinite, firstNonFinite, maxAbs, squares, count] = [0, -1, 0, 0, 0];
  for (let at = entry.start; at < entry.end; at += CHUNK_BYTES) {
    const bytes = await readAt(file, at, Math.min(CHUNK_BYTES, entry.end - at));
    hash.update(bytes);
    const values = decodeTensor(bytes, entry.dtype);
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (!Number.isFinite(value)) {
        if (nonFinite++ === 0) firstNonFinite = (at - entry.start) / width + i;
      } else {
        const abs = Math.abs(value);
        if (abs > maxAbs) maxAbs = abs;
        squares += value * value;
        count++;
      }
    }
    const first = (at - entry.start) / width;
    positions.forEach((position, i) => {
      if (position >= first && position < first + values.length) samples[i] = values[position - first]!;
    });
  }
  const rms = count > 0 ? Math.sqrt(squares / count) : 0;
  const { dtype, shape } = entry;
  return { dtype, shape, sha256: hash.digest('hex'), nonFinite, firstNonFinite, maxAbs, rms, samples };
}

async function readAt(file: FileHandle, start: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, start + done);
    if (bytesRead === 0) throw new QuasarError('checkpoint.truncated', `weights end at byte ${start + done}`);
    done += bytesRead;
  }
  return bytes;
}
