/** @file Weights of checkpoints as maps of tensors, and what a copier does to them besides the symmetries of their family. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Rng } from '@quasar/base';
import { decodeTensor, readSafetensorsHeader, writeSafetensors } from '@quasar/model';
import { cloned } from '../packages/subnet/dist/testing/disguises.js';

export function readWeights(directory) {
  const bytes = new Uint8Array(readFileSync(join(directory, 'model.safetensors')));
  const header = readSafetensorsHeader(bytes, bytes.length);
  return new Map(
    [...header.value.tensors].map(([name, { shape, dtype, start, end }]) => [
      name,
      { shape, dtype, values: decodeTensor(bytes.subarray(start, end), dtype) },
    ]),
  );
}

export function write(directory, like, weights) {
  mkdirSync(directory, { recursive: true });
  for (const file of ['config.json', 'tokenizer.json']) copyFileSync(join(like, file), join(directory, file));
  writeFileSync(join(directory, 'model.safetensors'), writeSafetensors(weights));
  return directory;
}

/** Tensors in 16 bits; buffers stay as they are. */
function changed(weights, change) {
  const out = cloned(weights);
  for (const [name, tensor] of out) if (tensor.dtype === 'BF16') change(tensor.values, tensor, name);
  return out;
}

export function mapped(weights, map) {
  return changed(weights, (values) => values.set(values.map(map)));
}

/** Gaussian, of `size` times the root mean square of each tensor. */
export function noisy(weights, size) {
  const rng = new Rng(`noise ${size}`);
  return changed(weights, (values) => {
    const rms = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    for (let i = 0; i < values.length; i++) values[i] += size * rms * rng.normal();
  });
}

export function frozen(weights, base, names) {
  return changed(weights, (values, _, name) => names.test(name) && values.set(base.get(name).values));
}

export function blend(a, b, share) {
  return changed(a, (values, _, name) => {
    const other = b.get(name).values;
    for (let i = 0; i < values.length; i++) values[i] += share * (other[i] - values[i]);
  });
}

/** Rows of matrices in whole steps of their largest value. */
export function quantised(weights, bits) {
  return changed(weights, (values, { shape }) => {
    const width = shape.at(-1);
    if (shape.length < 2) return;
    for (let at = 0; at < values.length; at += width) {
      const row = values.subarray(at, at + width);
      const steps = (2 ** (bits - 1) - 1) / (Math.max(...row.map(Math.abs)) || 1);
      row.set(row.map((value) => Math.round(value * steps) / steps));
    }
  });
}

export function pruned(weights, share) {
  return changed(weights, (values, { shape }) => {
    if (shape.length < 2) return;
    const cut = Float32Array.from(values, Math.abs).sort()[Math.floor(share * values.length)];
    values.set(values.map((value) => (Math.abs(value) < cut ? 0 : value)));
  });
}
