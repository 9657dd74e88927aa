/**
 * @file Positioned reads of many files through a small cache of blocks, with few files open at a time.
 *
 * Node has no mmap. Windows of a small corpus come out of the cache; those of a large one cost one read of a block, which is in the
 * page cache of the system where memory allows.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { QuasarError } from '@quasar/base';

const BLOCK_BYTES = 16 * 1024;
/** 16 MiB. */
const MAX_BLOCKS = 1024;
const MAX_OPEN = 64;

/** Oldest first: a Map keeps the order of insertion, and a hit inserts again. */
const blocks = new Map<string, Uint8Array>();
const handles = new Map<string, number>();

/** Bytes [start, end) of a file that does not change. @throws QuasarError data.shard_damaged when it is shorter */
export function readPart(path: string, start: number, end: number): Uint8Array {
  const out = new Uint8Array(end - start);
  for (let at = start; at < end; ) {
    const number = Math.floor(at / BLOCK_BYTES);
    const block = blockOf(path, number);
    const from = at - number * BLOCK_BYTES;
    const part = block.subarray(from, Math.min(block.length, from + end - at));
    if (part.length === 0) throw damaged(path, `ends at byte ${at}, expected ${end} or more`);
    out.set(part, at - start);
    at += part.length;
  }
  return out;
}

export function damaged(path: string, what: string): QuasarError {
  return new QuasarError('data.shard_damaged', `${path} ${what}`, {
    hint: 'delete the folder; the data is then tokenised again',
  });
}

/** Forgets what is cached of these files and closes them, so that they can be removed or replaced. */
export function forget(paths: readonly string[]): void {
  for (const path of paths) {
    const handle = handles.get(path);
    if (handle !== undefined) closeSync(handle);
    handles.delete(path);
    for (const key of blocks.keys()) if (key.startsWith(`${path}:`)) blocks.delete(key);
  }
}

function blockOf(path: string, number: number): Uint8Array {
  const key = `${path}:${number}`;
  let block = blocks.get(key);
  if (block !== undefined) blocks.delete(key);
  else {
    block = new Uint8Array(BLOCK_BYTES);
    block = block.subarray(0, readSync(open(path), block, 0, BLOCK_BYTES, number * BLOCK_BYTES));
    if (blocks.size >= MAX_BLOCKS) blocks.delete(blocks.keys().next().value as string);
  }
  blocks.set(key, block);
  return block;
}

function open(path: string): number {
  let handle = handles.get(path);
  if (handle !== undefined) handles.delete(path);
  else {
    if (handles.size >= MAX_OPEN) {
      const [oldest, fd] = handles.entries().next().value as [string, number];
      closeSync(fd);
      handles.delete(oldest);
    }
    handle = openSync(path, 'r');
  }
  handles.set(path, handle);
  return handle;
}
