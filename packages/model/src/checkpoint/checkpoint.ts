/**
 * @file A checkpoint directory: config.json, weights in one file or in shards, tokenizer.json. Loading reports every
 * missing, extra and misshapen tensor at once; saving is atomic per file, weights last, so that a directory never lies.
 */
import { join } from 'node:path';
import { QuasarError, writeFileAtomic } from '@quasar/base';
import { type Device, sizeOf, type Tensor } from '@quasar/tensor';
import { branchTensors } from '../families/graft/tensors.ts';
import { type ModelConfig, namesOf, tensorTable } from '../families/index.ts';
import { disposeParameters, type Parameters } from '../parameters.ts';
import type { TensorSpec } from '../tensor-table.ts';
import { Tokenizer } from '../tokenizer/index.ts';
import { findBase } from './graft-base.ts';
import { type LoadOptions, loadTensors } from './load-tensors.ts';
import type { NameMap } from './names.ts';
import { unfusedShape } from './names.ts';
import { readConfig } from './read-config.ts';
import { encodeTensor, type WrittenDtype } from './tensor-bytes.ts';
import { CHECKPOINT_FILES, orThrow, WeightFiles } from './weight-files.ts';
import { type StreamedTensor, type WriteOptions, writeWeights } from './write-weights.ts';

export interface ExpectedTensor {
  shape: number[];
  dtype: WrittenDtype;
}

/** The tensor table as a published checkpoint must have it: parameters in BF16, router buffers in F32, integers in I64. */
export function expectedTensors(config: ModelConfig): Map<string, ExpectedTensor> {
  return new Map(
    [...tensorTable(config)].map(([name, spec]) => [name, { shape: spec.shape, dtype: writtenDtype(spec, 'BF16') }]),
  );
}

/** Of a tensor in a file whose weights have the type `weights`. */
export function writtenDtype({ role, dtype }: TensorSpec, weights: 'F32' | 'BF16'): WrittenDtype {
  if (dtype === 'int') return 'I64';
  return role === 'buffer' ? 'F32' : weights;
}

export interface Checkpoint {
  config: ModelConfig;
  parameters: Parameters;
  tokenizer: Tokenizer;
}

export interface CheckpointOptions extends LoadOptions {
  /** Where the base of a graft is, of whose branches alone the folder consists; default: where its base.json says. */
  base?: string | undefined;
}

/**
 * A whole model; of a folder with the branches of a graft, the graft upon its base.
 * @throws QuasarError as `readConfig`, `findBase`, `Tokenizer.load` and `loadParameters`; `checkpoint.invalid` has all issues in `data`
 */
export function loadCheckpoint(directory: string, device: Device, options: CheckpointOptions = {}): Checkpoint {
  const config = orThrow(directory, readConfig(directory));
  const base = findBase(directory, config, options.base);
  const tokenizer = Tokenizer.load(join(base ?? directory, CHECKPOINT_FILES.tokenizer));
  if (tokenizer.vocabSize > config.vocab_size) {
    const message = `tokenizer.json has ${tokenizer.vocabSize} tokens, the model ${config.vocab_size}`;
    orThrow(directory, { ok: false, issues: [{ code: 'checkpoint.tokenizer_too_large', message }] });
  }
  return { config, parameters: loadFrom(directory, base, config, device, options), tokenizer };
}

/**
 * Every tensor of the config from a checkpoint folder, or from one safetensors file.
 * @throws QuasarError as `WeightFiles.open`, `findBase` and `loadTensors`; nothing stays allocated then
 */
export function loadParameters(
  path: string,
  config: ModelConfig,
  device: Device,
  options: CheckpointOptions = {},
): Parameters {
  return loadFrom(path, findBase(path, config, options.base), config, device, options);
}

/** @param base folder of the base when `path` holds the branches of a graft alone */
function loadFrom(
  path: string,
  base: string | null,
  config: ModelConfig,
  device: Device,
  options: LoadOptions,
): Parameters {
  const files = WeightFiles.open(path);
  try {
    if (base === null || config.model_type !== 'quasar_graft')
      return loadTensors(files, tensorTable(config), namesOf(config), device, options);
    const { onProgress } = options;
    const branchBytes = files.sizeBytes;
    let baseBytes = 0;
    const frozen = loadFrom(base, null, config.base, device, {
      ...options,
      onProgress(done, total) {
        baseBytes = total;
        onProgress?.(done, total + branchBytes);
      },
    });
    try {
      const branches = loadTensors(files, branchTensors(config), null, device, {
        ...options,
        onProgress: (done, total) => onProgress?.(baseBytes + done, baseBytes + total),
      });
      return new Map([...frozen, ...branches]);
    } catch (error) {
      disposeParameters(frozen);
      throw error;
    }
  } finally {
    files.close();
  }
}

export interface SaveOptions extends Omit<WriteOptions, 'resume'> {
  /** One matrix per expert and projection, in families whose public files come so. Default: fused, as in memory. */
  unfused?: boolean | undefined;
}

/** Writes the files, weights last. `dtype` F32 keeps training exact; BF16 is the published form (router buffers stay F32). */
export async function saveCheckpoint(
  directory: string,
  checkpoint: Checkpoint,
  dtype: 'F32' | 'BF16',
  metadata: Record<string, string> = {},
  options: SaveOptions = {},
): Promise<void> {
  const { config, parameters, tokenizer } = checkpoint;
  const names = options.unfused ? namesOf(config) : null;
  const tensors = streamedTensors(tensorTable(config), parameters, dtype, names);
  writeFileAtomic(join(directory, CHECKPOINT_FILES.config), `${JSON.stringify(config, null, 2)}\n`);
  writeFileAtomic(join(directory, CHECKPOINT_FILES.tokenizer), tokenizer.toJson());
  await writeWeights(directory, tensors, { ...options, metadata });
}

/**
 * The tensors of a table as they are written. @param unfused how experts are cut; null: not at all
 * @throws QuasarError `checkpoint.missing_tensor`
 */
export function streamedTensors(
  table: ReadonlyMap<string, TensorSpec>,
  parameters: Parameters,
  dtype: 'F32' | 'BF16',
  unfused: NameMap | null = null,
): StreamedTensor[] {
  const out: StreamedTensor[] = [];
  for (const [name, spec] of table) {
    const tensor = parameters.get(name);
    if (!tensor) throw new QuasarError('checkpoint.missing_tensor', `save: parameter ${name} is missing`);
    const of = unfused?.unfused(name) ?? null;
    if (of) out.push(...unfusedTensors(tensor, of, dtype));
    else {
      const stored = writtenDtype(spec, dtype);
      out.push({ name, shape: spec.shape, dtype: stored, pieces: () => piecesOf(tensor, stored) });
    }
  }
  return out;
}

const PIECE_NUMBERS = 2 ** 20;

/** The bytes of a tensor on a device, in order, as they stand in a file. */
export async function* piecesOf(tensor: Tensor, dtype: WrittenDtype): AsyncGenerator<Uint8Array> {
  const size = sizeOf(tensor.shape);
  for (let at = 0; at < size; at += PIECE_NUMBERS) {
    const values = await tensor.device.read(tensor.buffer, at, Math.min(PIECE_NUMBERS, size - at));
    yield encodeTensor(values, dtype);
  }
}

/** Each expert [in, out] of [E, in, out] as matrices [out / count, in]. */
function unfusedTensors(tensor: Tensor, of: (expert: number) => string[], dtype: 'F32' | 'BF16'): StreamedTensor[] {
  const [experts, inner, out] = tensor.shape as [number, number, number];
  return Array.from({ length: experts }, (_, e) => {
    const names = of(e);
    const shape = unfusedShape(tensor.shape, names.length);
    return names.map((name, i) => ({
      name,
      shape,
      dtype,
      async *pieces() {
        const values = await tensor.device.read(tensor.buffer, e * inner * out, inner * out);
        const matrix = new Float32Array(shape[0] * inner);
        for (let row = 0; row < shape[0]; row++)
          for (let column = 0; column < inner; column++)
            matrix[row * inner + column] = values[column * out + i * shape[0] + row] as number;
        yield encodeTensor(matrix, dtype);
      },
    }));
  }).flat();
}
