import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '@quasar/base';
import { Engine } from '@quasar/infer';
import { initialValues, type ModelConfig, SIZES, tensorTable } from '@quasar/model';
import { afterAll, describe, expect, it } from 'vitest';
import { MICRO, type Weights, writeCheckpoint } from './checkpoints.ts';
import { permuted, rescaled, rotated } from './disguises.ts';
import { symmetriesOf } from './symmetries.ts';

const root = mkdtempSync(join(tmpdir(), 'symmetries-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Every kind of layer, with more than one head; nothing in it is at a special value. */
const SHAPES: Record<string, ModelConfig> = {
  quasar: { ...MICRO, d_model: 64, n_heads: 2, top_k: 2 },
  quasar_long: {
    ...SIZES['preview-nano'],
    ...{ vocab_size: MICRO.vocab_size, num_hidden_layers: 4, hidden_size: 64, intermediate_size: 48, head_dim: 16 },
    ...{ hybrid_attention_layers: [1, 2, 3], moe_intermediate_size: 16, moe_shared_expert_intermediate_size: 16 },
  },
};

function drawn(config: ModelConfig): Weights {
  return new Map(
    [...tensorTable(config)].map(([name, { shape, role, init }]) => {
      const rng = new Rng(`symmetries/${name}`);
      const fresh = initialValues(shape, init, rng);
      const size = role === 'buffer' ? 0 : init.kind === 'constant' ? 0.1 : 0;
      const values = Float32Array.from(fresh, (value) => value + size * rng.normal());
      // In float32: what is tested is the symmetry, not rounding.
      return [name, { shape, dtype: 'F32' as const, values }];
    }),
  );
}

const TOKENS = Int32Array.from({ length: 48 }, (_, i) => (i * 37) % MICRO.vocab_size);
let directories = 0;

async function logprobs(config: ModelConfig, weights: Weights): Promise<Float32Array> {
  const engine = await Engine.load(writeCheckpoint(join(root, `${directories++}`), weights, config));
  try {
    return await engine.logprobs(TOKENS);
  } finally {
    engine.dispose();
  }
}

const largest = (a: Float32Array, b: Float32Array) => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
const changed = (a: Weights, b: Weights) =>
  [...a].filter(([name, { values }]) => values.some((value, i) => value !== b.get(name)!.values[i])).length;

describe.each(Object.entries(SHAPES))('every symmetry of %s', (_, config) => {
  const weights = drawn(config);
  const { permutations, scales, rotations } = symmetriesOf(config);
  const kinds = <T extends { kind: string }>(all: readonly T[]) =>
    [...new Set(all.map(({ kind }) => kind))].map((kind) => [kind, all.filter((one) => one.kind === kind)] as const);
  const cases: [string, Weights][] = [
    ...kinds(permutations).map(([kind, of]): [string, Weights] => [`${kind} permuted`, permuted(weights, of, kind)]),
    ...kinds(scales).map(([kind, of]): [string, Weights] => [`${kind} scaled`, rescaled(weights, of, kind)]),
    ...kinds(rotations).map(([kind, of]): [string, Weights] => [`${kind} rotated`, rotated(weights, of, kind)]),
  ];

  it.each(cases)('%s: other weights, the same model', async (_name, disguised) => {
    expect(changed(weights, disguised)).toBeGreaterThan(0);
    const before = await logprobs(config, weights);
    expect(largest(before, await logprobs(config, disguised))).toBeLessThan(2e-4);
  });

  it('a permutation of half of what belongs together is another model', async () => {
    const { count, members } = permutations.find(({ kind }) => kind === 'hidden')!;
    const half = permuted(weights, [{ kind: 'hidden', count, members: members.slice(0, 1) }], 'half');
    expect(largest(await logprobs(config, weights), await logprobs(config, half))).toBeGreaterThan(1e-3);
  });
});
