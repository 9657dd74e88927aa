/** @file The write gate against values of φ that are known, from keys of length 0 to very long ones. */
import { describe, expect, it } from 'vitest';
import { gradients } from './autograd.ts';
import { nativeAvailable, nativeDevice } from './devices/native.ts';
import { referenceDevice } from './devices/reference/device.ts';
import { exactGate, scaleGrad } from './ops/index.ts';
import { Tensor } from './tensor.ts';

/** φ(β, λ) = (1 − e^(−βλ)) / λ for β = 0.5 and 2, to all digits of float64 (architecture, appendix A.8). */
const PHI: [lambda: number, half: number, two: number][] = [
  [0, 0.5, 2],
  [1e-12, 0.499999999999875, 1.999999999998],
  [1e-8, 0.49999999875, 1.99999998],
  [1e-4, 0.4999875002083307, 1.9998000133326668],
  [1, 0.3934693402873666, 0.8646647167633873],
  [1e4, 1e-4, 1e-4],
];

const DEVICES = [
  { device: referenceDevice({ precision: 'f64' }), tolerance: 1e-15 },
  ...(nativeAvailable() ? [{ device: nativeDevice(), tolerance: 4e-7 }] : []),
].map((one) => ({ ...one, name: one.device.name }));

describe.each(DEVICES)('$name device', ({ device, tolerance }) => {
  const gate = async (z: number, k: number[], options = {}) =>
    exactGate(Tensor.from(device, [1], [z]), Tensor.from(device, [1, k.length], k), options).item();
  /** softplus(z) = β. */
  const softplusInverse = (beta: number) => Math.log(Math.expm1(beta));

  it.each(PHI)('λ = %f', async (lambda, half, two) => {
    const key = [0, Math.sqrt(lambda), 0];
    for (const [beta, expected] of [
      [0.5, half],
      [2, two],
    ] as const) {
      expect(Math.abs((await gate(softplusInverse(beta), key)) / expected - 1)).toBeLessThan(tolerance);
    }
    expect(Math.abs((await gate(0, key, { beta: 'sigmoid' })) / half - 1)).toBeLessThan(tolerance);
    const rate = Tensor.from(device, [1], [lambda]);
    expect(Math.abs((await gate(0, [0], { beta: 'sigmoid', rate })) / half - 1)).toBeLessThan(tolerance);
  });

  it('a NaN in a key stays a NaN', async () => {
    expect(await gate(0, [Number.NaN, 1], { floor: 0.05 })).toBeNaN();
  });
});

it('scaleGrad changes the gradient alone', async () => {
  const { device } = DEVICES[0] as (typeof DEVICES)[0];
  const x = Tensor.from(device, [1], [3]);
  x.requiresGrad = true;
  const { value, gradients: found } = gradients([x], () => ({ loss: scaleGrad(x, 0.25) }));
  expect([await value.loss.item(), await found[0]?.item()]).toEqual([3, 0.25]);
});
