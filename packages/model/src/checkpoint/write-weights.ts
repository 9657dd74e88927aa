/**
 * @file Writes the weights of a checkpoint folder piece by piece, never the whole model in memory: one file, or shards and
 * an index where they exceed the shard size. A file gets its name when it is complete and on disk, the index comes last, so
 * that a folder never lies.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { QuasarError, writeFileAtomic } from '@quasar/base';
import { dataBytes, writeHeader } from './safetensors.ts';
import type { WrittenDtype } from './tensor-bytes.ts';
import { CHECKPOINT_FILES } from './weight-files.ts';
import { INDEX_FILE, shardName } from './weight-index.ts';

export interface StreamedTensor {
  name: string;
  shape: number[];
  dtype: WrittenDtype;
  /** Its bytes in order; called once, when its turn has come. One piece is written while the next is made. */
  pieces(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface WriteOptions {
  /** Most bytes of tensors in one file; default 5 GB, as on the Hugging Face hub. A larger tensor has a file of its own. */
  shardBytes?: number | undefined;
  metadata?: Record<string, string> | undefined;
  /**
   * Keeps shards that an interrupted call with the same tensors and metadata has completed. For values that are a function
   * of those.
   */
  resume?: boolean | undefined;
  onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

export const DEFAULT_SHARD_BYTES = 5e9;

interface Shard {
  tensors: StreamedTensor[];
  bytes: number;
}

/** @returns the names of the files. @throws QuasarError checkpoint.size */
export async function writeWeights(
  directory: string,
  tensors: readonly StreamedTensor[],
  options: WriteOptions = {},
): Promise<string[]> {
  const shards = planShards(tensors, options.shardBytes ?? DEFAULT_SHARD_BYTES);
  const names = shards.map((_, i) =>
    shards.length === 1 ? CHECKPOINT_FILES.weights : shardName(i + 1, shards.length),
  );
  const totalBytes = shards.reduce((sum, { bytes }) => sum + bytes, 0);
  mkdirSync(directory, { recursive: true });
  let doneBytes = 0;
  const advance = (bytes: number) => {
    doneBytes += bytes;
    options.onProgress?.(doneBytes, totalBytes);
  };
  for (const [i, shard] of shards.entries()) {
    const path = join(directory, names[i] as string);
    const header = writeHeader(
      shard.tensors.map((tensor) => [tensor.name, tensor] as const),
      options.metadata,
    );
    if (options.resume && isComplete(path, header, shard.bytes)) advance(shard.bytes);
    else await writeFile(path, header, shard, advance);
  }
  // Old files of another layout go before the new index comes.
  const old = readdirSync(directory).filter(
    (name) => /^model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$/.test(name) && !names.includes(name),
  );
  for (const name of old) rmSync(join(directory, name));
  if (shards.length > 1) {
    const map = shards.flatMap(({ tensors }, i) => tensors.map(({ name }) => [name, names[i]] as const));
    const index = { metadata: { total_size: totalBytes }, weight_map: Object.fromEntries(map) };
    writeFileAtomic(join(directory, INDEX_FILE), `${JSON.stringify(index, null, 2)}\n`);
  }
  return names;
}

/**
 * One safetensors file, piece by piece; it appears under its name when it is complete and on disk, in place of an older one.
 * @returns its size in bytes. @throws QuasarError checkpoint.size; on any failure an older file stays
 */
export async function writeTensorFile(
  path: string,
  tensors: readonly StreamedTensor[],
  metadata: Record<string, string> = {},
): Promise<number> {
  const header = writeHeader(
    tensors.map((tensor) => [tensor.name, tensor] as const),
    metadata,
  );
  const bytes = tensors.reduce((sum, tensor) => sum + dataBytes(tensor), 0);
  await writeFile(path, header, { tensors: [...tensors], bytes }, () => {});
  return header.length + bytes;
}

/** In the given order, as many tensors to a file as fit. */
function planShards(tensors: readonly StreamedTensor[], limitBytes: number): Shard[] {
  const shards: Shard[] = [{ tensors: [], bytes: 0 }];
  for (const tensor of tensors) {
    const bytes = dataBytes(tensor);
    const last = shards.at(-1) as Shard;
    if (last.tensors.length > 0 && last.bytes + bytes > limitBytes) shards.push({ tensors: [tensor], bytes });
    else {
      last.tensors.push(tensor);
      last.bytes += bytes;
    }
  }
  return shards;
}

async function writeFile(
  path: string,
  header: Uint8Array,
  shard: Shard,
  advance: (bytes: number) => void,
): Promise<void> {
  const temporary = `${path}.partial`;
  const file = await open(temporary, 'w', 0o644);
  try {
    let written = writeAll(file, header);
    for (const tensor of shard.tensors) {
      let left = dataBytes(tensor);
      for await (const bytes of tensor.pieces()) {
        left -= bytes.length;
        await written;
        written = writeAll(file, bytes);
        advance(bytes.length);
      }
      await written;
      if (left === 0) continue;
      throw new QuasarError(
        'checkpoint.size',
        `write: ${tensor.name} gave ${-left} bytes more than shape [${tensor.shape}] has`,
      );
    }
    await file.sync();
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  renameSync(temporary, path);
  syncFolder(join(path, '..'));
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten;
}

/** Makes the new name last. */
function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Whether the file has this header and all the data: it got its name when it was complete. */
function isComplete(path: string, header: Uint8Array, dataBytes: number): boolean {
  if (!existsSync(path) || statSync(path).size !== header.length + dataBytes) return false;
  const found = new Uint8Array(header.length);
  const fd = openSync(path, 'r');
  try {
    return readSync(fd, found, 0, found.length, 0) === found.length && Buffer.compare(found, header) === 0;
  } finally {
    closeSync(fd);
  }
}
