/** @file Weights in 16 bits: every family computes the bits that it computes with the same numbers as floats. */
import { Rng } from '@quasar/base';
import { openDevice, scope, Tensor } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { forward, vocabularyLogits } from '../forward.ts';
import { initialParameters, type Parameters } from '../parameters.ts';
import { fitsIn16Bits } from '../tensor-table.ts';
import { randomTokens, TINY } from '../testing/tiny.ts';
import { TINY_ENGRAM, TINY_LONG } from '../testing/tiny-quasar-long.ts';
import { TINY_QWEN } from '../testing/tiny-qwen3-5.ts';
import { type ModelConfig, tensorTable } from './index.ts';

const device = openDevice('auto');
const CONFIGS: Record<string, ModelConfig> = {
  quasar: { ...TINY, memory_slots: 32, memory_dim: 16 },
  quasar_long: TINY_LONG,
  'quasar_long with n-gram memory': { ...TINY_LONG, ...TINY_ENGRAM },
  qwen3_5: TINY_QWEN,
};

describe.each(Object.entries(CONFIGS))('%s', (_, config) => {
  it.each(['bf16', 'f16'] as const)('%s', async (dtype) => {
    const wide = initialParameters(config, device, new Rng('storage'));
    const narrow: Parameters = new Map(wide);
    for (const [name, spec] of tensorTable(config)) {
      const tensor = wide.get(name) as Tensor;
      if (!fitsIn16Bits(spec)) continue;
      const rounded = Tensor.from(device, spec.shape, (await tensor.read()) as Float32Array, dtype);
      narrow.set(name, rounded);
      tensor.write(await rounded.read());
    }
    expect([...narrow.values()].some((tensor) => tensor.dtype === dtype)).toBe(true);
    expect(await logits(config, narrow)).toEqual(await logits(config, wide));
  });
});

/** Of the last token of a block, and of one token after it. */
async function logits(config: ModelConfig, parameters: Parameters): Promise<number[]> {
  const tokens = randomTokens(21, config.vocab_size, 'storage');
  const [first, second] = scope(() => {
    const block = forward(config, parameters, { tokens: tokens.subarray(0, 20), B: 1, T: 20 });
    const one = forward(config, parameters, { tokens: tokens.subarray(20), B: 1, T: 1, state: block.state });
    return [vocabularyLogits(parameters, block.hidden, Int32Array.of(19)), vocabularyLogits(parameters, one.hidden)];
  }) as [Tensor, Tensor];
  return [...(await first.read()), ...(await second.read())];
}
