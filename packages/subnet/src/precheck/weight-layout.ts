/**
 * @file The files that a submission may have, and how its weights lie in them: one `model.safetensors`, or the shards of one
 * series, `model-00001-of-0000N.safetensors` to `model-0000N-of-0000N.safetensors`, with `model.safetensors.index.json`.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HubFile } from '@quasar/hub';
import { CHECKPOINT_FILES, INDEX_FILE } from '@quasar/model';

export const { config: CONFIG_FILE, weights: SINGLE_FILE, tokenizer: TOKENIZER_FILE } = CHECKPOINT_FILES;
export const README_FILE = 'README.md';
export { INDEX_FILE };

const SHARD = /^model-(\d{5})-of-(\d{5})\.safetensors$/;

/** Its number, from 1, and how many there are; null for a file that is no shard. */
export function shardNumber(path: string): { number: number; count: number } | null {
  const [, number, count] = SHARD.exec(path) ?? [];
  return number === undefined ? null : { number: Number(number), count: Number(count) };
}

export function isWeights(path: string): boolean {
  return path === SINGLE_FILE || shardNumber(path) !== null;
}

/** What a model is loaded from. */
export function isModelFile(path: string): boolean {
  return path === CONFIG_FILE || path === TOKENIZER_FILE || path === INDEX_FILE || isWeights(path);
}

/** Of a listing that was accepted, what is downloaded: everything but code that is merely tolerated. */
export function dataFiles(files: readonly HubFile[]): HubFile[] {
  return files.filter(({ path }) => isModelFile(path) || path === README_FILE);
}

/** The weights of a checkpoint folder, in the order of their numbers. */
export async function weightPaths(directory: string): Promise<string[]> {
  const shards = (await readdir(directory)).filter((path) => shardNumber(path) !== null).sort();
  return (shards.length > 0 ? shards : [SINGLE_FILE]).map((path) => join(directory, path));
}
