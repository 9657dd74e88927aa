/**
 * @file A checkpoint directory: config.json, model.safetensors, tokenizer.json. Loading reports every missing, extra
 * and misshapen tensor at once; saving is atomic per file, weights last, so that a directory never lies.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { formatIssues, type Issue, QuasarError, type Result, writeFileAtomic } from '@quasar/base';
import { type Device, persist, Tensor } from '@quasar/tensor';
import { type ModelConfig, parseConfig, tensorTable } from '../families/index.ts';
import { disposeParameters, type Parameters } from '../parameters.ts';
import { Tokenizer } from '../tokenizer/index.ts';
import {
  headerLength,
  readSafetensorsHeader,
  type SafetensorsEntry,
  type SafetensorsHeader,
  type TensorToWrite,
  writeSafetensors,
} from './safetensors.ts';
import { decodeTensor } from './tensor-bytes.ts';

export const CHECKPOINT_FILES = {
  config: 'config.json',
  weights: 'model.safetensors',
  tokenizer: 'tokenizer.json',
} as const;

export interface ExpectedTensor {
  shape: number[];
  dtype: 'F32' | 'BF16';
}

/** The tensor table as a published checkpoint must have it: parameters in BF16, router buffers in F32. */
export function expectedTensors(config: ModelConfig): Map<string, ExpectedTensor> {
  return new Map(
    [...tensorTable(config)].map(([name, { shape, role }]) => [
      name,
      { shape, dtype: role === 'buffer' ? 'F32' : 'BF16' },
    ]),
  );
}

/** Names and shapes of a file against the table: missing, unknown and misshapen tensors, all of them. */
export function checkTensors(config: ModelConfig, header: SafetensorsHeader): Issue[] {
  const issues: Issue[] = [];
  const table = tensorTable(config);
  for (const [name, { shape }] of table) {
    const found = header.tensors.get(name);
    if (!found)
      issues.push({
        code: 'checkpoint.missing_tensor',
        path: name,
        message: `expected shape [${shape}], not in the file`,
      });
    else if (found.shape.join() !== shape.join())
      issues.push({
        code: 'checkpoint.wrong_shape',
        path: name,
        message: `expected shape [${shape}], got [${found.shape}]`,
      });
  }
  for (const name of header.tensors.keys()) {
    if (!table.has(name))
      issues.push({ code: 'checkpoint.unknown_tensor', path: name, message: 'not part of this config' });
  }
  return issues;
}

/** The config of a checkpoint directory, or every issue of its config.json. */
export function readConfig(directory: string): Result<ModelConfig> {
  return readConfigFile(join(directory, CHECKPOINT_FILES.config));
}

/** As `readConfig`, of a file with any name. */
export function readConfigFile(path: string): Result<ModelConfig> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const { code, message } = fileError(path, cause);
    return { ok: false, issues: [{ code, path, message }] };
  }
  try {
    return parseConfig(JSON.parse(text));
  } catch {
    return { ok: false, issues: [{ code: 'config.not_json', path, message: 'config.json is not JSON' }] };
  }
}

export interface Checkpoint {
  config: ModelConfig;
  parameters: Parameters;
  tokenizer: Tokenizer;
}

/** @throws QuasarError as `readConfig`, `Tokenizer.load` and `loadParameters`; `checkpoint.invalid` has all issues in `data` */
export function loadCheckpoint(directory: string, device: Device): Checkpoint {
  const config = orThrow(directory, readConfig(directory));
  const tokenizer = Tokenizer.load(join(directory, CHECKPOINT_FILES.tokenizer));
  if (tokenizer.vocabSize > config.vocab_size) {
    const message = `tokenizer.json has ${tokenizer.vocabSize} tokens, the model ${config.vocab_size}`;
    orThrow(directory, { ok: false, issues: [{ code: 'checkpoint.tokenizer_too_large', message }] });
  }
  return { config, parameters: loadParameters(join(directory, CHECKPOINT_FILES.weights), config, device), tokenizer };
}

/**
 * Every tensor of the config from one safetensors file.
 * @throws QuasarError `checkpoint.invalid` with all issues in `data`, `checkpoint.missing_file`, `checkpoint.unreadable`;
 * nothing stays allocated then.
 */
export function loadParameters(path: string, config: ModelConfig, device: Device): Parameters {
  const fd = openFile(path);
  const parameters: Parameters = new Map();
  try {
    const fileSize = fstatSync(fd).size;
    const length = orThrow(path, headerLength(readAt(fd, 0, Math.min(8, fileSize)), fileSize));
    const header = orThrow(path, readSafetensorsHeader(readAt(fd, 0, 8 + length), fileSize));
    const issues = checkTensors(config, header);
    if (issues.length > 0) orThrow(path, { ok: false, issues });
    for (const [name, { shape }] of tensorTable(config)) {
      const { start, end, dtype } = header.tensors.get(name) as SafetensorsEntry;
      parameters.set(name, persist(Tensor.from(device, shape, decodeTensor(readAt(fd, start, end - start), dtype))));
    }
    return parameters;
  } catch (error) {
    disposeParameters(parameters);
    throw error;
  } finally {
    closeSync(fd);
  }
}

function openFile(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    throw fileError(path, cause);
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw fileError(path, new Error('not a file'));
}

function fileError(path: string, cause: unknown): QuasarError {
  const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  return new QuasarError(
    isMissing ? 'checkpoint.missing_file' : 'checkpoint.unreadable',
    isMissing ? `${path} does not exist` : `${path} cannot be read: ${(cause as Error).message}`,
    { hint: `a checkpoint directory holds ${Object.values(CHECKPOINT_FILES).join(', ')}`, cause },
  );
}

/** Writes the three files, weights last. `dtype` F32 keeps training exact; BF16 is the published form (router buffers stay F32). */
export async function saveCheckpoint(
  directory: string,
  checkpoint: Checkpoint,
  dtype: 'F32' | 'BF16',
  metadata: Record<string, string> = {},
): Promise<void> {
  const { config, parameters, tokenizer } = checkpoint;
  const weights = await encodeParameters(config, parameters, dtype, metadata);
  writeFileAtomic(join(directory, CHECKPOINT_FILES.config), `${JSON.stringify(config, null, 2)}\n`);
  writeFileAtomic(join(directory, CHECKPOINT_FILES.tokenizer), tokenizer.toJson());
  writeFileAtomic(join(directory, CHECKPOINT_FILES.weights), weights);
}

/** The bytes of model.safetensors. @throws QuasarError `checkpoint.missing_tensor` */
export async function encodeParameters(
  config: ModelConfig,
  parameters: Parameters,
  dtype: 'F32' | 'BF16',
  metadata: Record<string, string> = {},
): Promise<Uint8Array> {
  const tensors = new Map<string, TensorToWrite>();
  for (const [name, { shape, role }] of tensorTable(config)) {
    const tensor = parameters.get(name);
    if (!tensor) throw new QuasarError('checkpoint.missing_tensor', `save: parameter ${name} is missing`);
    tensors.set(name, {
      shape,
      dtype: role === 'buffer' ? 'F32' : dtype,
      values: Float32Array.from(await tensor.read()),
    });
  }
  return writeSafetensors(tensors, metadata);
}

function readAt(fd: number, start: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const n = readSync(fd, bytes, done, length - done, start + done);
    if (n === 0)
      throw new QuasarError('checkpoint.truncated', `weights end at byte ${start + done}, expected ${start + length}`);
    done += n;
  }
  return bytes;
}

function orThrow<T>(where: string, result: Result<T>): T {
  if (result.ok) return result.value;
  const shown = result.issues.slice(0, 5);
  const more = result.issues.length - shown.length;
  throw new QuasarError(
    'checkpoint.invalid',
    `${where}: ${formatIssues(shown)}${more > 0 ? `\n… and ${more} more` : ''}`,
    {
      hint: 'use a checkpoint written for this config',
      data: result.issues,
    },
  );
}
