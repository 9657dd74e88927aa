/** @file What `quasar model info` says: published counts, and bytes that a running model has. */
import { openDevice, scope } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { SIZES } from './families/index.ts';
import type { QuasarConfig } from './families/quasar/config.ts';
import { forward } from './forward.ts';
import { modelInfo } from './model-info.ts';
import { disposeParameters } from './parameters.ts';
import { randomTokens, TINY, tinyParameters } from './testing/tiny.ts';

it('3b: the published counts by part, 16.6 MiB of state, no cache', () => {
  const { parameters, parts, layers, sequence, flopsPerToken, memory } = modelInfo(SIZES['3b']);
  expect(parameters).toEqual({ total: 2_939_911_408, active: 1_142_914_288 });
  expect(layers).toEqual({ quasar: 16, gla: 8 });
  // Architecture §4.
  const of = Object.fromEntries(parts.map(({ part, parameters }) => [part, parameters]));
  expect(of).toMatchObject({
    embedding: 381_419_520,
    head: 381_419_520,
    'quasar attention': 16 * 12_229_772,
    'gated linear attention': 8 * 9_474_944,
    'latent memory': 8 * 1_415_555,
    'dense feed-forward': 4 * 18_874_368,
    'routed experts': 20 * 64 * 1_179_648,
    'shared experts': 20 * 14_155_776,
    'router and bottleneck': 20 * (2 * 589_824 + 98_304),
  });
  const sum = (key: 'parameters' | 'active') => parts.reduce((total, part) => total + part[key], 0);
  expect([sum('parameters'), sum('active')]).toEqual([parameters.total, parameters.active]);
  expect(sequence.stateBytes / 2 ** 20).toBeCloseTo(16.6, 1);
  expect(sequence.cacheBytesPerToken).toBe(0);
  expect(flopsPerToken.products).toBe(2 * 1_142_914_288);
  expect(flopsPerToken.recurrences / 1e6).toBeCloseTo(37.5, 1);
  expect(memory.inference.f32).toBe(4 * (2_939_911_408 + 20 + 2 * 20 * 64 + 20));
  expect(memory.inference.bf16 / memory.inference.f32).toBeCloseTo(0.5, 3);
});

it.each<Partial<QuasarConfig>>([
  {},
  { use_short_conv: false },
  { use_gla_first: true, n_layers: 5, expand_k: 2 },
  { num_loops: 3 },
])('the state of a running model has the size it says: %o', async (change) => {
  const config = { ...TINY, ...change };
  const device = openDevice('auto');
  const parameters = await tinyParameters(device, config);
  const tokens = randomTokens(2 * 70, config.vocab_size, 'info');
  const { sequence } = modelInfo(config);
  scope(() => {
    const { state } = forward(config, parameters, { tokens, B: 2, T: 70 });
    expect(state.sizeBytes).toBe((2 * sequence.stateBytes * device.floatBytes) / 4);
  });
  disposeParameters(parameters);
});

it('a loop costs the layers again, not the head', () => {
  const [once, twice] = [1, 2].map((num_loops) => modelInfo({ ...TINY, num_loops }));
  const head = 2 * TINY.vocab_size * TINY.d_model;
  const outer = head + 2 * 2 * TINY.d_model;
  expect(twice!.flopsPerToken.products).toBe(2 * once!.flopsPerToken.products - outer);
  expect(twice!.parameters).toEqual(once!.parameters);
});
