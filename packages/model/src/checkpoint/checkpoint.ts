/**
 * @file A checkpoint directory: config.json, model.safetensors, tokenizer.json. Loading reports every missing, extra
 * and misshapen tensor at once; saving is atomic per file, weights last, so that a directory never lies.
 */
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { formatIssues, type Issue, QuasarError, type Result, writeFileAtomic } from '@quasar/base';
import { type Device, persist, Tensor } from '@quasar/tensor';
import { parseConfig, type QuasarConfig } from '../config.ts';
import { disposeParameters, type Parameters, tensorTable } from '../parameters.ts';
import { emitTokenizerJson, Tokenizer } from '../tokenizer/index.ts';
import {
  decodeTensor,
  headerLength,
  readSafetensorsHeader,
  type SafetensorsHeader,
  type TensorToWrite,
  writeSafetensors,
} from './safetensors.ts';

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
export function expectedTensors(config: QuasarConfig): Map<string, ExpectedTensor> {
  return new Map(
    [...tensorTable(config)].map(([name, { shape, role }]) => [
      name,
      { shape, dtype: role === 'buffer' ? 'F32' : 'BF16' },
    ]),
  );
}

/** Names and shapes of a file against the table: missing, unknown and misshapen tensors, all of them. */
export function checkTensors(config: QuasarConfig, header: SafetensorsHeader): Issue[] {
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

export function readConfig(directory: string): Result<QuasarConfig> {
  const path = join(directory, CHECKPOINT_FILES.config);
  if (!existsSync(path))
    return { ok: false, issues: [{ code: 'checkpoint.missing_file', path, message: 'config.json not found' }] };
  try {
    return parseConfig(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return { ok: false, issues: [{ code: 'config.not_json', path, message: 'config.json is not JSON' }] };
  }
}

export interface Checkpoint {
  config: QuasarConfig;
  parameters: Parameters;
  tokenizer: Tokenizer;
}

/** @throws QuasarError `checkpoint.invalid` with every issue in `data`. */
export function loadCheckpoint(directory: string, device: Device): Checkpoint {
  const config = orThrow(directory, readConfig(directory));
  const tokenizerPath = join(directory, CHECKPOINT_FILES.tokenizer);
  if (!existsSync(tokenizerPath)) {
    throw new QuasarError('checkpoint.missing_file', `checkpoint ${directory}: tokenizer.json not found`, {
      hint: 'copy it from the base model',
    });
  }
  const tokenizer = Tokenizer.load(tokenizerPath);
  return { config, parameters: loadParameters(join(directory, CHECKPOINT_FILES.weights), config, device), tokenizer };
}

/** @throws QuasarError `checkpoint.invalid` or `checkpoint.missing_file`; nothing stays allocated then. */
export function loadParameters(path: string, config: QuasarConfig, device: Device): Parameters {
  if (!existsSync(path)) throw new QuasarError('checkpoint.missing_file', `weights not found: ${path}`);
  const fd = openSync(path, 'r');
  const parameters: Parameters = new Map();
  try {
    const fileSize = fstatSync(fd).size;
    const first = readAt(fd, 0, Math.min(8, fileSize));
    const length = orThrow(path, headerLength(first, fileSize));
    const header = orThrow(path, readSafetensorsHeader(readAt(fd, 0, 8 + length), fileSize));
    const issues = checkTensors(config, header);
    if (issues.length > 0) orThrow(path, { ok: false, issues });
    for (const [name, { shape }] of tensorTable(config)) {
      const { start, end, dtype } = header.tensors.get(name) as { start: number; end: number; dtype: string };
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

/** Writes a checkpoint. `dtype` F32 keeps training exact; BF16 is the published form (router buffers stay F32). */
export async function saveCheckpoint(
  directory: string,
  checkpoint: Checkpoint,
  dtype: 'F32' | 'BF16',
  metadata: Record<string, string> = {},
): Promise<void> {
  const { config, parameters, tokenizer } = checkpoint;
  writeFileAtomic(join(directory, CHECKPOINT_FILES.config), `${JSON.stringify(config, null, 2)}\n`);
  writeFileAtomic(join(directory, CHECKPOINT_FILES.tokenizer), emitTokenizerJson(tokenizer.vocabulary));
  writeFileAtomic(
    join(directory, CHECKPOINT_FILES.weights),
    await encodeParameters(config, parameters, dtype, metadata),
  );
}

export async function encodeParameters(
  config: QuasarConfig,
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
