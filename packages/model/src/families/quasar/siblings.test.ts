/** @file Mechanisms in the place of Quasar attention: their equations, the gates of every family, sizes side by side. */
import { referenceDevice, sizeOf } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { SIBLINGS } from '../../layers/sibling-attention.ts';
import { modelInfo } from '../../model-info.ts';
import { gates } from '../../testing/gates.ts';
import { plainModel } from '../../testing/plain-model.ts';
import { logitsOf, maxDifference, randomTokens, TINY, tinyParameters } from '../../testing/tiny.ts';
import { parseConfig, SIZES, tensorTable } from '../index.ts';
import type { QuasarConfig } from './config.ts';

/** One layer of the mechanism, dense. */
const SMALL: QuasarConfig = { ...TINY, n_layers: 1, dense_input_layers: 1 };

for (const attention of SIBLINGS) {
  const config: QuasarConfig = { ...SMALL, attention };
  gates(attention, {
    config,
    stateGrows: attention === 'softmax',
    gradients: [{ name: 'one layer', config: { ...config, initializer_range: 1 }, segments: [3, 2], only: /attn/ }],
  });
}

const oracle = referenceDevice({ precision: 'f64' });
it.each(SIBLINGS)('%s: the equations written out token by token', async (attention) => {
  const config = { ...SMALL, n_layers: 2, dense_input_layers: 2, attention };
  const parameters = await tinyParameters(oracle, config);
  const weights = new Map<string, ArrayLike<number>>();
  for (const [name, tensor] of parameters) weights.set(name, await tensor.read());
  const tokens = randomTokens(6, config.vocab_size, 'equations');
  const expected = plainModel(config, weights, tokens).logits.flat();
  expect(maxDifference(await logitsOf(config, parameters, { tokens, B: 1, T: 6 }), expected)).toBeLessThan(1e-10);
});

describe('at equal size', () => {
  const sizes = ['nano', 'tiny', 'mini', 'small'] as const;
  const of = (size: (typeof sizes)[number], attention: QuasarConfig['attention']) =>
    ({ ...SIZES[size], attention }) as QuasarConfig;
  const layer = (config: QuasarConfig) =>
    [...tensorTable(config)].reduce(
      (sum, [name, { shape }]) => sum + (name.startsWith('model.layers.0.attn.') ? sizeOf(shape) : 0),
      0,
    );

  it.each(sizes)('%s: layers differ by the gates of their mechanism alone', (size) => {
    const { d_model: D, n_heads: H, head_dim: E } = SIZES[size];
    const shared = layer(of(size, 'softmax'));
    const gates = {
      delta_net: H * D,
      gated_delta_net: 2 * H * D + 2 * H,
      kda: H * D + 2 * E * D + H + D,
      gla: 2 * 16 * D + D,
      // A projection of full rank, a rate and a shift are part of public checkpoints, unused without decay.
      quasar: H * D + (D * D + H + D),
    };
    for (const [attention, own] of Object.entries(gates)) {
      const config = of(size, attention as QuasarConfig['attention']);
      expect(layer(config) - shared, attention).toBe(own);
      const [total, least] = [config, of(size, 'softmax')].map((c) => modelInfo(c).parameters.total);
      expect((total as number) / (least as number), attention).toBeLessThan(1.08);
      expect(modelInfo(config).sequence.stateBytes, attention).toBe(modelInfo(SIZES[size]).sequence.stateBytes);
      expect(modelInfo(config).sequence.cacheBytesPerToken, attention).toBe(0);
    }
    const { sequence } = modelInfo(of(size, 'softmax'));
    expect(sequence.cacheBytesPerToken).toBe((modelInfo(of(size, 'softmax')).layers.softmax as number) * 2 * D * 4);
  });
});

it('a config names its mechanism, and no rule of Quasar attention beside it', () => {
  const kda = { ...SIZES.nano, attention: 'kda' };
  expect(parseConfig(kda)).toEqual({ ok: true, value: kda });
  const codes = (json: object) => {
    const read = parseConfig(json);
    return read.ok ? [] : read.issues.map(({ code, path }) => `${code} ${path}`);
  };
  expect(codes({ ...kda, attention: 'mamba' })).toEqual(['config.wrong_value config.json/attention']);
  expect(codes({ ...kda, quasar_decay: 'channel' })).toEqual(['config.wrong_value config.json/quasar_decay']);
});
