/** @file The tensor table: published counts and names, layer kinds, and what a fresh model holds. */
import { Rng } from '@quasar/base';
import { referenceDevice, sizeOf } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { countParameters, SIZES, tensorTable } from './families/index.ts';
import { layerType, ofDepth, type QuasarConfig } from './families/quasar/config.ts';
import { disposeParameters, initialParameters } from './parameters.ts';
import { TINY } from './testing/tiny.ts';

it('counts the published 3B model', () => {
  expect(countParameters(SIZES['3b'])).toEqual({ total: 2_939_911_408, active: 1_142_914_288 });
});

it('larger models follow from their depth by the proportions of the 3B model', () => {
  expect(ofDepth(24)).toEqual(SIZES['3b']);
  expect(countParameters(SIZES['20b'])).toEqual({ total: 18_860_190_560, active: 6_772_730_720 });
  expect(countParameters(SIZES['100b'])).toEqual({ total: 95_385_374_168, active: 33_357_516_248 });
});

it('has the published names and shapes of the 3B model', () => {
  const table = tensorTable(SIZES['3b']);
  const shapes = {
    'model.embed_tokens.weight': [248320, 1536],
    'lm_head.weight': [248320, 1536],
    'model.layers.0.attn.q_conv1d.weight': [1536, 1, 4],
    'model.layers.0.attn.b_proj.weight': [12, 1536],
    'model.layers.0.ffn.down.weight': [1536, 4096],
    'model.layers.4.attn.k_proj.weight': [768, 1536],
    'model.layers.4.attn.gk_proj.1.weight': [768, 16],
    'model.layers.4.memory.compress_z.0.weight': [256, 1536],
    'model.layers.4.C_to_hidden.weight': [1536, 128],
    'model.layers.23.ffn.experts_w12': [64, 384, 2048],
    'model.layers.23.ffn.experts_w3': [64, 1024, 384],
    'model.layers.23.ffn.shared_experts.0.gate.weight': [3072, 1536],
    'model.layers.23.ffn.max_vio': [],
    'model.all_moe_bias': [20, 64],
    'model.all_moe_max_vio': [20],
  };
  for (const [name, shape] of Object.entries(shapes)) expect(table.get(name)?.shape, name).toEqual(shape);
  const gla = [4, 5, 10, 11, 16, 17, 22, 23];
  for (let i = 0; i < 24; i++) expect(layerType(SIZES['3b'], i)).toBe(gla.includes(i) ? 'gla' : 'quasar');
});

it('follows the switches of the config', () => {
  const names = (change: object) => [...tensorTable({ ...TINY, ...change }).keys()];
  expect(names({ use_short_conv: false }).filter((name) => name.includes('conv1d'))).toEqual([]);
  expect(names({ dense_input_layers: 4 }).filter((name) => /expert|router|moe/.test(name))).toEqual([]);
  expect(names({ dense_input_layers: 9 })).toEqual(names({ dense_input_layers: 4 }));
  expect(names({ num_shared_experts: 2 }).filter((name) => name.includes('shared_experts.1'))).toHaveLength(6);
  expect(layerType({ ...TINY, use_gla_first: true }, 0)).toBe('gla');
});

it('a fresh model is a function of its seed, and one tensor does not depend on another', async () => {
  const device = referenceDevice({ precision: 'f32' });
  const model = async (seed: string, change: object = {}) => {
    const parameters = initialParameters({ ...TINY, ...change }, device, new Rng(seed));
    const values = new Map<string, number[]>();
    for (const [name, tensor] of parameters) values.set(name, [...(await tensor.read())]);
    disposeParameters(parameters);
    return values;
  };
  const one = await model('a');
  expect(await model('a')).toEqual(one);
  const name = 'model.layers.0.attn.q_proj.weight';
  expect((await model('b')).get(name)).not.toEqual(one.get(name));
  expect((await model('a', { use_short_conv: false })).get(name)).toEqual(one.get(name));
});

it('a fresh model has the spread that the table says', async () => {
  const config: QuasarConfig = { ...TINY, memory_slots: 32, memory_dim: 16, memory_bank: 'learned' };
  const parameters = initialParameters(config, referenceDevice({ precision: 'f32' }), new Rng('spread'));
  for (const [name, { shape, init }] of tensorTable(config)) {
    const tensor = parameters.get(name);
    expect(tensor?.shape, name).toEqual(shape);
    const values = [...((await tensor?.read()) ?? [])];
    const rms = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / sizeOf(shape));
    const [low, high] = [Math.min(...values), Math.max(...values)];
    if (init.kind === 'constant') expect([low, high], name).toEqual([Math.fround(init.value), Math.fround(init.value)]);
    // Four deviations of the root mean square of so many normal numbers.
    const slack = 4 / Math.sqrt(2 * sizeOf(shape));
    if (init.kind === 'normal') expect(Math.abs(rms / init.std - 1), name).toBeLessThan(slack);
    if (init.kind === 'orthogonal') expect(rms * Math.sqrt(shape.at(-1) ?? 0), name).toBeCloseTo(1, 6);
    if (init.kind === 'uniform') expect(Math.max(-low, high), name).toBeLessThanOrEqual(init.bound);
    if (init.kind === 'uniform') expect(Math.max(-low, high), name).toBeGreaterThan(0.9 * init.bound);
    if (init.kind === 'logUniform') expect(low, name).toBeGreaterThanOrEqual(Math.fround(Math.log(init.low)));
    if (init.kind === 'logUniform') expect(high, name).toBeLessThanOrEqual(Math.log(init.high));
  }
});

it('counts a bank of latent memory only where the checkpoint has it', () => {
  const learned: QuasarConfig = { ...SIZES['3b'], memory_bank: 'learned' };
  expect(countParameters(learned).total).toBe(2_939_911_408 + 8 * 128 * 128);
});
