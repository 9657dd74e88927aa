/** @file Shapes of states without a model: those of real ones, the published bytes, the same after any number of tokens. */
import { openDevice, scope, sizeOf } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { SIZES } from './families/index.ts';
import type { QuasarConfig } from './families/quasar/config.ts';
import { forward } from './forward.ts';
import { modelInfo } from './model-info.ts';
import { stateShapes } from './state-shapes.ts';
import { randomTokens, TINY, tinyParameters } from './testing/tiny.ts';

const bytes = (shapes: Map<string, number[]>) =>
  4 * [...shapes.values()].reduce((sum, shape) => sum + sizeOf(shape), 0);

it('3b carries 16.6 MiB at token 10 and at token 100,000', () => {
  const config = SIZES['3b'];
  const [early, late] = [stateShapes(config, [10]), stateShapes(config, [100_000])];
  expect(late).toEqual(early);
  expect((bytes(late) / 2 ** 20).toFixed(1)).toBe('16.6');
  expect(bytes(late)).toBe(modelInfo(config).sequence.stateBytes);
  expect(bytes(stateShapes(config, [7, 8, 9]))).toBe(3 * bytes(early));
});

it.each<[string, Partial<QuasarConfig>]>([
  ['latent memory, two loops', { memory_slots: 16, memory_dim: 32, num_loops: 2 }],
  [
    'latent memory in its public form, which carries nothing',
    { memory_slots: 16, memory_dim: 32, memory_mode: 'compat' },
  ],
])('%s: as a running model', async (_, change) => {
  const config = { ...TINY, ...change };
  const parameters = await tinyParameters(openDevice('auto'), config);
  const { state } = scope(() => forward(config, parameters, { tokens: randomTokens(70, 48, 'shapes'), B: 2, T: 35 }));
  const shapes = new Map([...state.tensors].map(([key, { shape }]) => [key, shape]));
  expect(stateShapes(config, state.lengths)).toEqual(shapes);
  expect(bytes(stateShapes(config, [1]))).toBe(modelInfo(config).sequence.stateBytes);
});
