/**
 * @file The sequence ops against code that is not ours: the naive functions of flash-linear-attention with the gradients of
 * autograd, and the matrix exponential of Quasar's differential equation (`linear_attention.py`, `zero_order_hold.py`).
 */
import {
  add,
  type Device,
  deltaRule,
  exactGate,
  gla,
  gradients,
  l2Norm,
  nativeAvailable,
  nativeDevice,
  type Recurrence,
  type RecurrenceOptions,
  referenceDevice,
  scale,
  simpleGla,
  sizeOf,
  slotAttention,
  Tensor,
  weightedSum,
} from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { readVectors, relativeError, uniform } from './vectors.ts';

const [B, T, H, D, M] = [1, 18, 2, 16, 16];
const SHAPES: Record<string, [low: number, high: number, shape: number[]]> = {
  q: [-1, 1, [B, T, H, D]],
  k: [-1, 1, [B, T, H, D]],
  v: [-1, 1, [B, T, H, D]],
  beta: [0, 1, [B, T, H]],
  g: [-0.5, 0, [B, T, H]],
  gk: [-0.5, 0, [B, T, H, D]],
  gm: [-0.5, 0, [B, T, H, M]],
  state: [-0.3, 0.3, [B, H, D, D]],
  keys: [-0.3, 0.3, [B, H, M, D]],
  values: [-0.3, 0.3, [B, H, M, D]],
};

type Inputs = Record<'q' | 'k' | 'v' | 'beta' | 'g' | 'gk' | 'gm' | 'state' | 'keys' | 'values', Tensor>;
type Run = (x: Inputs, chunk: number) => Tensor[];

/** A recurrence with queries scaled by 1/√D; gives its outputs and its last state. */
const recurrent =
  (rule: (x: Inputs, options: RecurrenceOptions) => Recurrence): Run =>
  (x, chunk) => {
    const { out, state } = rule({ ...x, q: scale(x.q, D ** -0.5) }, { state: x.state, chunk });
    return [out, state];
  };

const CASES: Record<string, Run> = {
  delta: recurrent(({ q, k, v, beta }, options) => deltaRule(q, k, v, beta, options)),
  'gated delta': recurrent(({ q, k, v, beta, g }, options) => deltaRule(q, k, v, beta, { ...options, decay: g })),
  kda: recurrent(({ q, k, v, beta, gk }, options) => deltaRule(q, k, v, beta, { ...options, decay: gk })),
  gla: recurrent(({ q, k, v, gk }, options) => gla(q, k, v, gk, options)),
  'simple gla': recurrent(({ q, k, v, g }, options) => simpleGla(q, k, v, g, options)),
  gsa({ q, k, v, gm, keys, values }) {
    const { out, state } = slotAttention(q, k, v, gm, { keys, values }, null);
    return [out, state.keys, state.values];
  },
};

const DEVICES: [name: string, device: Device, tolerance: number][] = [
  ['reference', referenceDevice({ precision: 'f64' }), 1e-9],
  ...(nativeAvailable() ? [['native', nativeDevice(), 5e-6] as [string, Device, number]] : []),
];

describe.each(DEVICES)('%s', (_, device, tolerance) => {
  describe('flash-linear-attention', () => {
    const vectors = readVectors('linear-attention');

    it.each(Object.keys(vectors))('%s: outputs, states and gradients', async (name) => {
      const expected = vectors[name] as Record<string, number[]>;
      const run = CASES[name] as Run;
      const inputs = Object.entries(SHAPES).map(([input, [low, high, shape]]) => {
        const tensor = Tensor.from(device, shape, uniform(input, low, high, sizeOf(shape)));
        tensor.requiresGrad = true;
        return [input, tensor] as const;
      });
      for (const chunk of name === 'gsa' ? [64] : [16, 64]) {
        const { value, gradients: found } = gradients(
          inputs.map(([, tensor]) => tensor),
          () => {
            const x = Object.fromEntries(inputs) as Inputs;
            const results = run({ ...x, k: l2Norm(x.k) }, chunk);
            const losses = results.map((y, i) =>
              weightedSum(y, Tensor.from(device, y.shape, uniform(`d${i}`, -1, 1, y.size))),
            );
            return { loss: losses.reduce((sum, loss) => add(sum, loss)), results };
          },
        );
        const names = ['out', 'state0', 'state1'];
        const got = new Map<string, Tensor>(value.results.map((y, i) => [names[i] as string, y]));
        inputs.forEach(([input], i) => {
          if (found[i]) got.set(`d${input}`, found[i]);
        });
        expect([...got.keys()].sort()).toEqual(Object.keys(expected).sort());
        for (const [what, tensor] of got)
          expect(relativeError(await tensor.read(), expected[what] as number[]), what).toBeLessThan(tolerance);
      }
    });
  });

  it('the exact gate solves the differential equation of Quasar attention, without and with forgetting', async () => {
    const vectors = readVectors('zero-order-hold');
    const of = (input: string, low: number, high: number, ...shape: number[]) =>
      Tensor.from(device, shape, uniform(input, low, high, sizeOf(shape)));
    const [q, k, v] = ['q', 'k', 'v'].map((input) => of(input, -1, 1, 1, T, 1, D)) as [Tensor, Tensor, Tensor];
    const state = of('state', -0.3, 0.3, 1, 1, D, D);
    const beta = uniform('beta', 0, 2, T);
    // softplus(z) = beta
    const alpha = exactGate(
      Tensor.from(
        device,
        [1, T, 1],
        beta.map((b) => Math.log(Math.expm1(b))),
      ),
      k,
    );
    const gamma = uniform('gamma', 0, 1, T).map((x) => 0.3 * x);
    const keys = uniform('k', -1, 1, T * D);
    const write = Float64Array.from(beta, (b, t) => {
      const rate = keys.subarray(t * D, (t + 1) * D).reduce((sum, x) => sum + x * x, 0) + (gamma[t] as number);
      return -Math.expm1(-b * rate) / rate;
    });
    const decay = Tensor.from(
      device,
      [1, T, 1],
      beta.map((b, t) => -b * (gamma[t] as number)),
    );
    const results = {
      exact: deltaRule(q, k, v, alpha, { state }),
      'scalar forgetting': deltaRule(q, k, v, alpha, { state, decay, write: Tensor.from(device, [1, T, 1], write) }),
    };
    for (const [name, { out, state: end }] of Object.entries(results)) {
      const expected = vectors[name] as Record<string, number[]>;
      expect(relativeError(await out.read(), expected.out as number[]), name).toBeLessThan(tolerance);
      expect(relativeError(await end.read(), expected.state as number[]), name).toBeLessThan(tolerance);
    }
  });
});
