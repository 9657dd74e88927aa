/** @file A fresh checkpoint: the weights of `initialParameters`, and folders that are not overwritten. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '@quasar/base';
import { referenceDevice } from '@quasar/tensor';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { canonicalTokenMap } from '../layers/engram-tensors.ts';
import { initialParameters } from '../parameters.ts';
import { TINY } from '../testing/tiny.ts';
import { TINY_ENGRAM, TINY_LONG } from '../testing/tiny-quasar-long.ts';
import { trainBpe } from '../tokenizer/index.ts';
import { loadCheckpoint } from './checkpoint.ts';
import { initCheckpoint } from './init-checkpoint.ts';

const device = referenceDevice({ precision: 'f32' });
const tokenizer = trainBpe(['hello world'], { vocabSize: 270 });
const CONFIG = { ...TINY, vocab_size: tokenizer.vocabSize };

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quasar-init-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it('holds what initialParameters draws, in F32 to the bit', async () => {
  const files = await initCheckpoint(directory, CONFIG, tokenizer, { seed: 7, dtype: 'F32', shardBytes: 50_000 });
  expect(files.length).toBeGreaterThan(2);
  const { parameters, config } = loadCheckpoint(directory, device);
  expect(config).toEqual(CONFIG);
  const expected = initialParameters(CONFIG, device, new Rng(7));
  for (const [name, tensor] of expected) expect(await parameters.get(name)?.read(), name).toEqual(await tensor.read());
});

it('a memory of n-grams that merges tokens by their text knows the tokenizer', async () => {
  const config = {
    ...TINY_LONG,
    ...TINY_ENGRAM,
    vocab_size: tokenizer.vocabSize,
    engram_token_map: 'canonical' as const,
  };
  await initCheckpoint(directory, config, tokenizer);
  const { parameters } = loadCheckpoint(directory, device);
  const map = await parameters.get('model.layers.2.engram.token_map')?.read();
  expect(map).toEqual(canonicalTokenMap(tokenizer, config.vocab_size));
  const id = (text: string) => tokenizer.encode(text)[0] as number;
  expect(map?.[id('W')]).toBe(map?.[id('w')]);
});

it('equal seeds give equal bytes, others others', async () => {
  const bytes = async (seed: number) => {
    const folder = join(directory, `${seed}-${readdirSync(directory).length}`);
    await initCheckpoint(folder, CONFIG, tokenizer, { seed });
    return readFileSync(join(folder, 'model.safetensors'));
  };
  const first = await bytes(1);
  expect(Buffer.compare(first, await bytes(1))).toBe(0);
  expect(Buffer.compare(first, await bytes(2))).not.toBe(0);
});

it('a folder that holds a model, or the config of another, is left alone', async () => {
  await initCheckpoint(directory, CONFIG, tokenizer);
  const before = readFileSync(join(directory, 'model.safetensors'));
  const again = () => initCheckpoint(directory, CONFIG, tokenizer, { seed: 3 });
  await expect(again()).rejects.toMatchObject({ code: 'checkpoint.not_empty' });
  expect(Buffer.compare(readFileSync(join(directory, 'model.safetensors')), before)).toBe(0);
  rmSync(join(directory, 'model.safetensors'));
  writeFileSync(join(directory, 'config.json'), JSON.stringify({ ...CONFIG, d_ff: 64 }));
  await expect(again()).rejects.toMatchObject({ code: 'checkpoint.not_empty' });
});
