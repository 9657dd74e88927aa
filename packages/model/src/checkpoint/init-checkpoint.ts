/** @file A fresh model of any size as a checkpoint folder, drawn and written piece by piece: it never is in memory. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { QuasarError, Rng, writeFileAtomic } from '@quasar/base';
import { drawTensor } from '../draw.ts';
import { freshTable, type ModelConfig } from '../families/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { writtenDtype } from './checkpoint.ts';
import { encodeTensor } from './tensor-bytes.ts';
import { CHECKPOINT_FILES } from './weight-files.ts';
import { INDEX_FILE } from './weight-index.ts';
import { type StreamedTensor, type WriteOptions, writeWeights } from './write-weights.ts';

export interface InitOptions extends Pick<WriteOptions, 'shardBytes' | 'onProgress'> {
  seed?: string | number | undefined;
  /** Default BF16, the published form; router buffers are F32 in both. */
  dtype?: 'F32' | 'BF16' | undefined;
}

/**
 * The weights of `initialParameters` with this seed and tokenizer. Goes on where an interrupted call stopped.
 * @returns the names of the weight files
 * @throws QuasarError checkpoint.not_empty when the folder holds another model
 */
export async function initCheckpoint(
  directory: string,
  config: ModelConfig,
  tokenizer: Tokenizer,
  options: InitOptions = {},
): Promise<string[]> {
  const { seed = 0, dtype = 'BF16' } = options;
  const text = `${JSON.stringify(config, null, 2)}\n`;
  const path = (name: string) => join(directory, name);
  const isOther =
    existsSync(path(CHECKPOINT_FILES.config)) && readFileSync(path(CHECKPOINT_FILES.config), 'utf8') !== text;
  if (isOther || [CHECKPOINT_FILES.weights, INDEX_FILE].some((name) => existsSync(path(name)))) {
    throw new QuasarError('checkpoint.not_empty', `${directory} already holds a model`, {
      hint: 'choose another folder, or remove the model first',
    });
  }
  writeFileAtomic(path(CHECKPOINT_FILES.config), text);
  writeFileAtomic(path(CHECKPOINT_FILES.tokenizer), tokenizer.toJson());
  const tensors = [...freshTable(config, tokenizer)].map(([name, spec]): StreamedTensor => {
    const stored = writtenDtype(spec, dtype);
    return {
      name,
      shape: spec.shape,
      dtype: stored,
      *pieces() {
        for (const values of drawTensor(spec, new Rng(seed).fork(name))) yield encodeTensor(values, stored);
      },
    };
  });
  const metadata = { format: 'pt', seed: String(seed) };
  return writeWeights(directory, tensors, { ...options, metadata, resume: true });
}
