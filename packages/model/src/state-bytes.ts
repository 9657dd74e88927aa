/**
 * @file A streaming state as a safetensors file: tensors by their keys in float32, the tokens read per row and the config
 * they belong to in the metadata. Read strictly: it may come from anywhere.
 */
import { canonicalJson, type Issue, type Result, sha256Hex } from '@quasar/base';
import { type Device, persist, Tensor } from '@quasar/tensor';
import { matchTensors } from './checkpoint/load-tensors.ts';
import {
  readSafetensorsHeader,
  type SafetensorsEntry,
  type TensorToWrite,
  writeSafetensors,
} from './checkpoint/safetensors.ts';
import { decodeTensor } from './checkpoint/tensor-bytes.ts';
import { familyOf, type ModelConfig } from './families/index.ts';
import { show } from './show.ts';
import { ModelState } from './state.ts';
import { stateShapes } from './state-shapes.ts';

const MAX_LENGTH = 2 ** 31 - 1;

/** The whole state; `state.select` chooses rows. On a device of float32 it is restored bit for bit. */
export async function encodeState(config: ModelConfig, state: ModelState): Promise<Uint8Array> {
  const tensors = new Map<string, TensorToWrite>();
  for (const [key, tensor] of state.tensors)
    tensors.set(key, { shape: [...tensor.shape], dtype: 'F32', values: Float32Array.from(await tensor.read()) });
  return writeSafetensors(tensors, { config: digest(config), lengths: JSON.stringify([...state.lengths]) });
}

/** A state of this config on a device, or every issue; then nothing is allocated. */
export function decodeState(config: ModelConfig, device: Device, bytes: Uint8Array): Result<ModelState> {
  const header = readSafetensorsHeader(bytes, bytes.length);
  if (!header.ok) return header;
  const { tensors, metadata } = header.value;
  const issues: Issue[] = [];
  const issue = (code: string, path: string, message: string, hint?: string) =>
    issues.push({ code, path, message, ...(hint ? { hint } : {}) });
  if (metadata.config !== digest(config))
    issue('model.state_config', 'config', 'the state belongs to another config', 'open it with the model that made it');
  const lengths = parseLengths(config, metadata.lengths, bytes.length);
  const table = new Map<string, { shape: number[] }>();
  if (lengths) {
    for (const [key, shape] of stateShapes(config, lengths)) table.set(key, { shape });
    issues.push(...matchTensors(table, tensors, null).issues);
  } else issue('model.state_lengths', 'lengths', `expected tokens read per row, got ${show(metadata.lengths)}`);
  for (const [key, { dtype, start, end }] of tensors) {
    if (dtype !== 'F32') issue('model.state_dtype', key, `expected F32, got ${dtype}`);
    else if (!decodeTensor(bytes.subarray(start, end), dtype).every(Number.isFinite))
      issue('model.state_not_finite', key, 'a value is not a finite number');
  }
  if (issues.length > 0 || !lengths) return { ok: false, issues };
  const found = new Map<string, Tensor>();
  for (const [key, { shape }] of table) {
    const { start, end } = tensors.get(key) as SafetensorsEntry;
    found.set(key, persist(Tensor.from(device, shape, decodeTensor(bytes.subarray(start, end), 'F32'))));
  }
  return { ok: true, value: new ModelState(Int32Array.from(lengths), found) };
}

function digest(config: ModelConfig): string {
  return sha256Hex(canonicalJson(config));
}

/** Null unless whole numbers that a file of this size can hold the state of. */
function parseLengths(config: ModelConfig, text: string | undefined, fileBytes: number): number[] | null {
  let lengths: unknown;
  try {
    lengths = JSON.parse(text ?? '');
  } catch {
    return null;
  }
  if (!Array.isArray(lengths) || lengths.length === 0 || lengths.length > fileBytes) return null;
  if (!lengths.every((n) => Number.isInteger(n) && n >= 1 && n <= MAX_LENGTH)) return null;
  const { cacheBytesPerToken } = familyOf(config).sequenceCost(config);
  return Math.max(...lengths) * lengths.length * cacheBytesPerToken <= fileBytes ? lengths : null;
}
