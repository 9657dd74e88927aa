/** @file AdamW against a plain float64 implementation, and what it leaves alone. */
import { Rng } from '@quasar/base';
import { tensorTable } from '@quasar/model';
import { cast, openDevice, referenceDevice, Tensor } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { TINY, tinyCheckpoint, valuesOf } from '../testing/tiny.ts';
import { ADAMW_DEFAULTS, AdamW, squaredNorm } from './adamw.ts';

const TABLE = tensorTable(TINY);
const MATRIX = 'model.layers.0.attn.q_proj.weight';
const NORM = 'model.layers.0.ln1.weight';

describe.each([
  ['float64 oracle', referenceDevice({ precision: 'f64' }), 1e-13],
  ['best device', openDevice('auto'), 2e-6],
])('%s', (_, device, tolerance) => {
  it('is the published update, clipped to the global norm, decaying matrices only', async () => {
    const checkpoint = tinyCheckpoint('adamw', device);
    const optimizer = new AdamW(checkpoint.parameters, TABLE);
    const { beta1, beta2, eps, weightDecay, clipNorm } = ADAMW_DEFAULTS;
    const before = await valuesOf(checkpoint);
    const expected = new Map(
      [MATRIX, NORM].map((name) => {
        const p = before[name] as number[];
        return [name, { p: [...p], m: p.map(() => 0), v: p.map(() => 0) }];
      }),
    );
    const rng = new Rng('gradients');
    for (let step = 1; step <= 5; step++) {
      const drawn = new Map([...expected].map(([name, { p }]) => [name, p.map(() => Math.fround(rng.normal()))]));
      const gradients = optimizer.names.map((name) => {
        const g = drawn.get(name);
        return g ? Tensor.from(device, [g.length], g) : null;
      });
      const square = [...drawn.values()].flat().reduce((sum, g) => sum + g * g, 0);
      const norm = squaredNorm(gradients) as Tensor;
      expect((await norm.item()) / square).toBeCloseTo(1, 5);
      const lr = 0.01 / step;
      // The last two steps stay below the clip.
      const reported = step > 3 ? 0.5 : Math.sqrt(square);
      optimizer.update(gradients, lr, reported);
      const clip = Math.min(1, clipNorm / reported);
      for (const [name, { p, m, v }] of expected) {
        for (const [i, raw] of (drawn.get(name) as number[]).entries()) {
          const g = raw * clip;
          m[i] = beta1 * (m[i] as number) + (1 - beta1) * g;
          v[i] = beta2 * (v[i] as number) + (1 - beta2) * g * g;
          const mHat = (m[i] as number) / (1 - beta1 ** step);
          const vHat = (v[i] as number) / (1 - beta2 ** step);
          const decay = name === NORM ? 0 : weightDecay;
          p[i] = (p[i] as number) - lr * (mHat / (Math.sqrt(vHat) + eps) + decay * (p[i] as number));
        }
      }
    }
    expect(optimizer.step).toBe(5);
    const state = optimizer.state();
    for (const [name, { p, m, v }] of expected) {
      const tensors = [checkpoint.parameters.get(name), state.get(`m.${name}`), state.get(`v.${name}`)];
      for (const [k, wanted] of [p, m, v].entries()) {
        const got = await (tensors[k] as Tensor).read();
        for (const [i, x] of wanted.entries())
          expect(Math.abs((got[i] as number) - x)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(x)));
      }
    }
    // What got no gradient has not moved, not even by decay.
    const after = await valuesOf(checkpoint);
    for (const name of Object.keys(before)) if (!expected.has(name)) expect(after[name], name).toEqual(before[name]);
  });
});

it('trains everything but the router buffers, and gives the flags back', () => {
  const { parameters } = tinyCheckpoint();
  const optimizer = new AdamW(parameters, TABLE);
  const buffers = [...parameters.keys()].filter((name) => /max_vio|all_moe/.test(name));
  expect([...parameters.keys()].filter((name) => !optimizer.names.includes(name))).toEqual(buffers);
  expect(buffers.length).toBeGreaterThan(0);
  for (const [name, tensor] of parameters) expect(tensor.requiresGrad, name).toBe(!buffers.includes(name));
  optimizer.dispose();
  for (const tensor of parameters.values()) expect(tensor.requiresGrad).toBe(false);
});

it('norms, biases and gates do not decay; matrices, embeddings and experts do', async () => {
  const checkpoint = tinyCheckpoint();
  const optimizer = new AdamW(checkpoint.parameters, TABLE);
  const before = await valuesOf(checkpoint);
  const zero = optimizer.parameters.map((p) => Tensor.zeros(p.device, p.shape));
  optimizer.update(zero, 0.5, 0);
  const after = await valuesOf(checkpoint);
  for (const [name, { role }] of TABLE) {
    const isSame = JSON.stringify(after[name]) === JSON.stringify(before[name]);
    expect(isSame, `${name} (${role})`).toBe(['norm', 'scalar', 'buffer'].includes(role));
  }
});

it('weights stored as bf16 are their float masters rounded, and small steps are not lost', async () => {
  const device = openDevice('auto');
  const { parameters } = tinyCheckpoint();
  const before = parameters.get(MATRIX) as Tensor;
  const stored = cast(before, 'bf16');
  const optimizer = new AdamW(new Map(parameters).set(MATRIX, stored), TABLE, { ...ADAMW_DEFAULTS, weightDecay: 0 });
  const initial = await stored.read();
  const gradients = optimizer.names.map((name) => (name === MATRIX ? Tensor.filled(device, stored.shape, 1) : null));
  // Every step moves a weight by 1e-6, far below the last place of bf16.
  for (let step = 0; step < 1000; step++) optimizer.update(gradients, 1e-6, 0);
  const master = optimizer.state().get(`w.${MATRIX}`) as Tensor;
  const values = [...(await stored.read())];
  expect(values).toEqual([...(await cast(master, 'bf16').read())]);
  const moved = values.reduce((sum, x, i) => sum + x - (initial[i] as number), 0) / values.length;
  expect(moved).toBeCloseTo(-1e-3, 4);
  optimizer.dispose();
});
