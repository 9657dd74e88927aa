/**
 * @file One pass over the weights of a checkpoint: per tensor its sha256, bad values, scale, and values at chosen positions.
 *
 * Works on bytes in bounded chunks: a 3B checkpoint needs no more memory than a small one. Digests are per tensor, so
 * they do not change with file order or sharding.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { formatIssues, QuasarError, sha256Hex } from '@quasar/base';
import { decodeTensor, headerLength, readSafetensorsHeader, type SafetensorsHeader } from '@quasar/model';
import { weightPaths } from './weight-layout.ts';

export interface TensorScan {
  dtype: string;
  shape: number[];
  sha256: string;
  /** Elements. */
  size: number;
  /** NaN and infinite values. */
  nonFinite: number;
  /** Index of the first of them; -1: there is none. */
  firstNonFinite: number;
  /** Largest magnitude among finite values. */
  maxAbs: number;
  /** Root mean square of finite values. */
  rms: number;
  /** Along the last dimension; 1 row: a vector or a number. */
  rows: number;
  /** Root mean square of the smallest and the largest row. */
  minRowRms: number;
  maxRowRms: number;
  /** Values below the smallest normal number of F32 and BF16, not zero. */
  denormal: number;
  /** Values at the positions asked for, in that order. */
  samples: number[];
  /** sha256 of the chunks asked for, in that order. */
  chunks: string[];
}

/** Of a tensor, which values (by index) and which chunks (by first byte) to keep, chosen before it is read. */
export type SamplePlan = (
  name: string,
  elements: number,
  bytes: number,
) => { values: readonly number[]; chunks: readonly number[]; chunkBytes: number };

const NO_SAMPLES: SamplePlan = () => ({ values: [], chunks: [], chunkBytes: 0 });

const CHUNK_BYTES = 4 * 1024 * 1024;
const SMALLEST_NORMAL = 2 ** -126;

/**
 * @param directory a checkpoint; a tensor is the same in whatever file it lies
 * @throws QuasarError `checkpoint.invalid` when a file is no safetensors file
 */
export async function scanWeights(directory: string, plan: SamplePlan = NO_SAMPLES): Promise<Map<string, TensorScan>> {
  const scans = new Map<string, TensorScan>();
  for (const path of await weightPaths(directory))
    for (const [name, scan] of await scanFile(path, plan)) scans.set(name, scan);
  return scans;
}

async function scanFile(path: string, plan: SamplePlan): Promise<Map<string, TensorScan>> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const header = await readHeader(file, size, path);
    const scans = new Map<string, TensorScan>();
    for (const [name, entry] of header.tensors) {
      const bytes = entry.end - entry.start;
      scans.set(name, await scanTensor(file, entry, plan(name, bytes / widthOf(entry), bytes)));
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

const widthOf = ({ dtype }: Entry): number => (dtype === 'F32' ? 4 : 2);

async function scanTensor(
  file: FileHandle,
  entry: Entry,
  { values: positions, chunks, chunkBytes }: ReturnType<SamplePlan>,
): Promise<TensorScan> {
  const hash = createHash('sha256');
  const width = widthOf(entry);
  const samples = new Array<number>(positions.length).fill(0);
  const kept = chunks.map(() => new Uint8Array(chunkBytes));
  const size = (entry.end - entry.start) / width;
  const columns = entry.shape.at(-1) || 1;
  let [nonFinite, firstNonFinite, maxAbs, squares, count, denormal] = [0, -1, 0, 0, 0, 0];
  let [rowSquares, minRow, maxRow] = [0, Number.POSITIVE_INFINITY, 0];
  for (let at = entry.start; at < entry.end; at += CHUNK_BYTES) {
    const bytes = await readAt(file, at, Math.min(CHUNK_BYTES, entry.end - at));
    hash.update(bytes);
    const values = decodeTensor(bytes, entry.dtype);
    const first = (at - entry.start) / width;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (!Number.isFinite(value)) {
        if (nonFinite++ === 0) firstNonFinite = first + i;
      } else {
        const abs = Math.abs(value);
        if (abs > maxAbs) maxAbs = abs;
        if (abs < SMALLEST_NORMAL && abs > 0) denormal++;
        squares += value * value;
        rowSquares += value * value;
        count++;
      }
      if ((first + i + 1) % columns === 0) {
        minRow = Math.min(minRow, rowSquares);
        maxRow = Math.max(maxRow, rowSquares);
        rowSquares = 0;
      }
    }
    const offset = at - entry.start;
    chunks.forEach((start, i) => {
      const [from, to] = [Math.max(start, offset), Math.min(start + chunkBytes, offset + bytes.length)];
      if (from < to) kept[i]!.set(bytes.subarray(from - offset, to - offset), from - start);
    });
    positions.forEach((position, i) => {
      if (position >= first && position < first + values.length) samples[i] = values[position - first]!;
    });
  }
  const rms = count > 0 ? Math.sqrt(squares / count) : 0;
  const { dtype, shape } = entry;
  const [minRowRms, maxRowRms] =
    size === 0 ? [0, 0] : ([minRow, maxRow].map((sum) => Math.sqrt(sum / columns)) as [number, number]);
  return {
    ...{ dtype, shape, sha256: hash.digest('hex'), size, nonFinite, firstNonFinite, denormal },
    ...{ maxAbs, rms, rows: size / columns, minRowRms, maxRowRms, samples },
    chunks: kept.map(sha256Hex),
  };
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
