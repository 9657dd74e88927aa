/** @file The qwen3_5 family against its equations written out token by token; its state and cost. */
import { Rng } from '@quasar/base';
import { openDevice, referenceDevice, scope } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { forward } from '../../forward.ts';
import { modelInfo } from '../../model-info.ts';
import { plainQwenLogits } from '../../testing/plain-qwen3-5.ts';
import { logitsOf, maxDifference, randomTokens, relativeError, tinyParameters } from '../../testing/tiny.ts';
import { TINY_QWEN, TINY_QWEN_MOE } from '../../testing/tiny-qwen3-5.ts';
import { tensorTable } from '../index.ts';
import type { Qwen35Config } from './config.ts';

const oracle = referenceDevice({ precision: 'f64' });

it.each<[string, Partial<Qwen35Config>]>([
  ['both kinds of layers', {}],
  [
    'softmax first, biases, tied head',
    {
      layer_types: ['full_attention', 'linear_attention', 'full_attention'],
      attention_bias: true,
      tie_word_embeddings: true,
    },
  ],
  ['experts', TINY_QWEN_MOE],
  [
    'all channels turn, heads not shared',
    {
      num_key_value_heads: 4,
      linear_num_key_heads: 2,
      rope_parameters: { ...TINY_QWEN.rope_parameters, partial_rotary_factor: 1 },
    },
  ],
])('the equations written out token by token: %s', async (_, change) => {
  const config = change.model_type ? (change as Qwen35Config) : { ...TINY_QWEN, ...change };
  const parameters = await tinyParameters(oracle, config);
  const weights = new Map<string, ArrayLike<number>>();
  for (const [name, tensor] of parameters) weights.set(name, await tensor.read());
  const tokens = randomTokens(7, config.vocab_size, 'equations');
  const expected = plainQwenLogits(config, weights, tokens).flat();
  const found = await logitsOf(config, parameters, { tokens, B: 1, T: 7 });
  expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0.1);
  expect(maxDifference(found, expected)).toBeLessThan(1e-10);
});

it('routers have a load-balancing loss with the factor of the config, where it is wanted', async () => {
  const parameters = await tinyParameters(oracle, TINY_QWEN_MOE);
  const tokens = randomTokens(9, TINY_QWEN_MOE.vocab_size, 'router');
  const lossOf = async (change: Partial<Qwen35Config>, auxLosses?: boolean) => {
    const { aux } = forward({ ...TINY_QWEN_MOE, ...change }, parameters, { tokens, B: 1, T: 9, auxLosses });
    return aux.routerLoss?.item() ?? null;
  };
  expect(await lossOf({})).toBeNull();
  const { num_experts_per_tok: K = 0 } = TINY_QWEN_MOE;
  const loss = (await lossOf({}, true)) as number;
  // A balanced router has K; one that is not has more, for what it prefers is what it chooses.
  expect(loss).toBeGreaterThan(1e-3 * K);
  expect(loss).toBeLessThan(1e-3 * K * 2);
  expect(await lossOf({ router_aux_loss_coef: 0.5 }, true)).toBeCloseTo(500 * loss, 10);
  expect(await lossOf({ router_aux_loss_coef: 0 }, true)).toBeNull();
});

it('state and cache of a running model have the sizes that modelInfo says', async () => {
  const device = openDevice('auto');
  const parameters = await tinyParameters(device, TINY_QWEN);
  const { sequence, layers } = modelInfo(TINY_QWEN);
  expect(layers).toEqual({ 'gated delta net': 2, 'softmax attention': 1 });
  for (const T of [1, 70]) {
    const tokens = randomTokens(2 * T, TINY_QWEN.vocab_size, 'info');
    const { state } = scope(() => forward(TINY_QWEN, parameters, { tokens, B: 2, T }));
    const bytes = sequence.stateBytes + T * sequence.cacheBytesPerToken;
    expect(state.sizeBytes).toBe((2 * bytes * device.floatBytes) / 4);
  }
});

it('a cache keeps no more tokens than the longest row still sees', async () => {
  const parameters = await tinyParameters(oracle, TINY_QWEN);
  const tokens = randomTokens(20, TINY_QWEN.vocab_size, 'packed');
  // Row 0 ends in a segment of 3 tokens, row 1 in one of 6.
  const positions = Int32Array.of(0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5);
  const { state } = scope(() => forward(TINY_QWEN, parameters, { tokens, B: 2, T: 10, positions }));
  expect(state.tensors.get('0.1.keys')?.shape).toEqual([2, 6, 2, 16]);
});

it('a tied head is no tensor of its own', () => {
  expect(tensorTable(TINY_QWEN).has('lm_head.weight')).toBe(true);
  expect(tensorTable({ ...TINY_QWEN, tie_word_embeddings: true }).has('lm_head.weight')).toBe(false);
});

it('a number that all logits of a router share changes neither the choice nor the weights, however large', async () => {
  const device = openDevice('auto');
  const parameters = await tinyParameters(device, TINY_QWEN_MOE);
  const block = { tokens: randomTokens(40, TINY_QWEN_MOE.vocab_size, 'router'), B: 1, T: 40 };
  const expected = await logitsOf(TINY_QWEN_MOE, parameters, block);
  const rng = new Rng('offset');
  for (const [name, gate] of parameters) {
    if (!name.endsWith('mlp.gate.weight')) continue;
    const shared = Float32Array.from({ length: gate.dim(1) }, () => 10 * rng.normal());
    const values = await gate.read();
    gate.write(values.map((x, i) => x + (shared[i % shared.length] as number)));
  }
  const found = await logitsOf(TINY_QWEN_MOE, parameters, block);
  expect(relativeError(found, expected)).toBeLessThan(1e-3);
});

it('a token touches the experts that it chooses and the shared one', () => {
  const { parameters, parts } = modelInfo(TINY_QWEN_MOE);
  const routed = parts.find(({ part }) => part === 'routed experts');
  expect(routed?.parameters).toBe(3 * 5 * 3 * 24 * 16);
  expect(routed?.active).toBe((2 / 5) * (routed?.parameters as number));
  expect(parameters.total - parameters.active).toBe((3 / 5) * (routed?.parameters as number) + 48 * 24);
});
