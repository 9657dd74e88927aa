/**
 * @file The state of the 3B model at token 10 and at token 100,000, all tokens read. One Quasar and one GLA layer of the real
 * widths, with narrow feed-forward parts, which carry none: the whole model would read for most of an hour on two cores.
 */
import { Rng } from '@quasar/base';
import { openDevice, scope } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { SIZES } from './families/index.ts';
import { forward } from './forward.ts';
import { modelInfo } from './model-info.ts';
import { disposeParameters, initialParameters } from './parameters.ts';
import type { ModelState } from './state.ts';
import { randomTokens } from './testing/tiny.ts';

const TOKENS = 100_000;
const BLOCK = 512;

it('16 Quasar and 8 GLA layers of 3b carry 16.6 MiB, however long the text is', async () => {
  const whole = SIZES['3b'];
  const layers = { n_layers: 2, quasar_layers: 1, gated_layers: 1, dense_input_layers: 2 };
  const config = { ...whole, ...layers, d_ff: 64, vocab_size: 512 };
  const device = openDevice('auto');
  const parameters = initialParameters(config, device, new Rng('long'));
  const tokens = randomTokens(TOKENS, config.vocab_size, 'long');
  let state: ModelState | undefined;
  /** Bytes of the Quasar and of the GLA layer, by token. */
  const sizes = new Map<number, readonly number[]>();
  const startedAtMs = performance.now();
  for (let at = 0; at < TOKENS; ) {
    const end = Math.min(TOKENS, at === 0 ? 10 : at + BLOCK);
    const before = state;
    const block = { tokens: tokens.subarray(at, end), B: 1, T: end - at, state: before };
    state = scope(() => forward(config, parameters, block).state);
    before?.dispose();
    at = end;
    sizes.set(
      at,
      [0, 1].map((layer) => layerBytes(state as ModelState, layer)),
    );
  }
  const values = await Promise.all([...(state as ModelState).tensors.values()].map((tensor) => tensor.read()));
  console.log(`${TOKENS} tokens in ${((performance.now() - startedAtMs) / 1000).toFixed(0)} s`);
  expect(state?.lengths[0]).toBe(TOKENS);
  expect(values.every((of) => of.every(Number.isFinite))).toBe(true);
  for (const at of sizes.keys()) expect(sizes.get(at), `token ${at}`).toEqual(sizes.get(10));
  const [quasar, gla] = sizes.get(TOKENS) as [number, number];
  const { stateBytes } = modelInfo(whole).sequence;
  expect(16 * quasar + 8 * gla).toBe(stateBytes);
  expect(stateBytes / 2 ** 20).toBeCloseTo(16.6, 1);
  state?.dispose();
  disposeParameters(parameters);
});

function layerBytes(state: ModelState, layer: number): number {
  let bytes = 0;
  for (const [key, tensor] of state.tensors) if (key.startsWith(`0.${layer}.`)) bytes += 4 * tensor.size;
  return bytes;
}
