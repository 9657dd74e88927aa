/** @file Saved states: bit for bit, strict about whose they are and what they hold. */
import { Rng } from '@quasar/base';
import { openDevice, scope } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { readSafetensorsHeader, type TensorToWrite, writeSafetensors } from './checkpoint/safetensors.ts';
import { decodeTensor } from './checkpoint/tensor-bytes.ts';
import type { QuasarConfig } from './families/quasar/config.ts';
import { forward } from './forward.ts';
import { decodeState, encodeState } from './state-bytes.ts';
import { randomTokens, TINY, tinyParameters } from './testing/tiny.ts';

const CONFIG: QuasarConfig = { ...TINY, memory_slots: 16, memory_dim: 16 };
const device = openDevice('auto');
const parameters = await tinyParameters(device, CONFIG);
const { state } = scope(() => forward(CONFIG, parameters, { tokens: randomTokens(40, 48, 'bytes'), B: 2, T: 20 }));
const file = await encodeState(CONFIG, state);

/** The file again, with its tensors or metadata changed. */
function changed(change: (tensors: Map<string, TensorToWrite>, metadata: Record<string, string>) => void): Uint8Array {
  const header = readSafetensorsHeader(file, file.length);
  if (!header.ok) throw new Error('no header');
  const tensors = new Map<string, TensorToWrite>();
  for (const [key, { shape, start, end }] of header.value.tensors)
    tensors.set(key, { shape, dtype: 'F32', values: decodeTensor(file.subarray(start, end), 'F32') });
  const metadata = { ...header.value.metadata };
  change(tensors, metadata);
  return writeSafetensors(tensors, metadata);
}

function issues(bytes: Uint8Array, config: QuasarConfig = CONFIG): string[] {
  const result = decodeState(config, device, bytes);
  return result.ok ? [] : result.issues.map(({ code, path }) => `${code} ${path ?? ''}`.trim());
}

it('gives the same bytes again', async () => {
  const restored = decodeState(CONFIG, device, file);
  if (!restored.ok) throw new Error(JSON.stringify(restored.issues));
  expect(await encodeState(CONFIG, restored.value)).toEqual(file);
  expect(issues(changed(() => {}))).toEqual([]);
});

it('reports everything at once', () => {
  const bytes = changed((tensors, metadata) => {
    const [first, second, third, fourth] = [...tensors.keys()] as [string, string, string, string];
    tensors.delete(first);
    tensors.set('0.0.other', { shape: [1], dtype: 'F32', values: new Float32Array(1) });
    const { shape, values } = tensors.get(second) as TensorToWrite;
    tensors.set(second, { shape: [values.length], dtype: 'F32', values });
    tensors.set(third, { ...(tensors.get(third) as TensorToWrite), dtype: 'BF16' });
    (tensors.get(fourth) as TensorToWrite).values[7] = Number.NaN;
    metadata.config = 'another';
    expect(shape.length).toBeGreaterThan(1);
  });
  expect(issues(bytes).sort()).toEqual([
    'checkpoint.missing_tensor 0.0.conv_q',
    'checkpoint.unknown_tensor 0.0.other',
    'checkpoint.wrong_shape 0.0.conv_k',
    'model.state_config config',
    'model.state_dtype 0.0.conv_v',
    'model.state_not_finite 0.0.S',
  ]);
});

it('belongs to one config', () => {
  expect(issues(file, { ...CONFIG, rope_theta: 10 })).toEqual(['model.state_config config']);
  expect(issues(file, TINY)).toContain('model.state_config config');
});

it.each([
  '',
  '{}',
  '[]',
  '[20]',
  '[20,20,20]',
  '[0,20]',
  '[1.5,20]',
  '[-1,20]',
  '[1e300,20]',
  '[null,20]',
  '["20",20]',
])('lengths %j are refused', (lengths) => {
  const bytes = changed((_, metadata) => {
    metadata.lengths = lengths;
  });
  const found = issues(bytes);
  expect(found.length).toBeGreaterThan(0);
  for (const issue of found) expect(issue).toMatch(/^(model.state_lengths|checkpoint.wrong_shape) /);
});

it('a changed byte gives issues or another state, never an exception', () => {
  const rng = new Rng('bytes');
  const header = 8 + Number(new DataView(file.buffer, file.byteOffset, 8).getBigUint64(0, true));
  let refused = 0;
  for (let i = 0; i < 300; i++) {
    const bytes = file.slice();
    bytes[rng.int(0, i % 2 ? header - 1 : file.length - 1)] = rng.int(0, 255);
    const result = decodeState(CONFIG, device, bytes);
    if (result.ok) result.value.dispose();
    else refused += result.issues.length > 0 ? 1 : 0;
  }
  expect(refused).toBeGreaterThan(50);
});

it('a cut file is refused by its header, and cuts anywhere never throw', () => {
  for (let size = 0; size < file.length; size += 997) expect(issues(file.subarray(0, size)).length).toBeGreaterThan(0);
});
