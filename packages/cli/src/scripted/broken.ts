/**
 * @file The broken contestant: the base student with one matrix declared transposed. The file is valid safetensors with
 * every byte in place, only not the model that config.json promises. Must end as INVALID.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import { type Contestant, type Submitted, submit } from './submit.ts';

const WEIGHTS = 'model.safetensors';
const FILES = ['config.json', 'tokenizer.json', WEIGHTS];
/** A safetensors file begins with the length of its header as a 64-bit little-endian number. */
const LENGTH_BYTES = 8;

/** @param base folder of a checkpoint */
export function submitBroken(contestant: Contestant, base: string): Promise<Submitted> {
  const files = readdirSync(base).filter((name) => FILES.includes(name));
  return submit(
    contestant,
    files.map((path) => {
      const bytes = readFileSync(join(base, path));
      return { path, content: path === WEIGHTS ? withWrongShape(bytes) : bytes };
    }),
  );
}

/** The same file with the shape of its first non-square matrix turned around. */
export function withWrongShape(file: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const dataStart = LENGTH_BYTES + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(LENGTH_BYTES, dataStart)));
  const entry = Object.values<{ shape?: number[] }>(header).find(
    ({ shape }) => shape?.length === 2 && shape[0] !== shape[1],
  );
  if (entry === undefined) throw new QuasarError('scripted.no_matrix', 'the base has no matrix that is not square');
  entry.shape?.reverse();
  // Reversing keeps the number of bytes; the padding keeps the header a multiple of eight long.
  const text = JSON.stringify(header);
  const padded = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const result = new Uint8Array(LENGTH_BYTES + padded.length + file.length - dataStart);
  new DataView(result.buffer).setBigUint64(0, BigInt(padded.length), true);
  result.set(padded, LENGTH_BYTES);
  result.set(file.subarray(dataStart), LENGTH_BYTES + padded.length);
  return result;
}
