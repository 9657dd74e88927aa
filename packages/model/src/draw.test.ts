/** @file Fresh weights: the spread and the shape of their distributions, independence of pieces and tensors. */
import { Rng } from '@quasar/base';
import { describe, expect, it } from 'vitest';
import { drawTensor, PIECE_NUMBERS } from './draw.ts';
import type { Init } from './tensor-table.ts';

const values = (init: Init, shape: number[], seed = 'draw') => [...drawTensor({ shape, init }, new Rng(seed))];
const mean = (x: Float32Array, of: (x: number) => number) => x.reduce((sum, each) => sum + of(each), 0) / x.length;

describe('normal numbers', () => {
  const [x] = values({ kind: 'normal', std: 1 }, [PIECE_NUMBERS]) as [Float32Array];

  it('have the moments of the normal distribution', () => {
    // Standard errors at a million numbers: 0.001, 0.0014, 0.0024·…; five of them.
    expect(Math.abs(mean(x, (v) => v))).toBeLessThan(0.005);
    expect(Math.abs(mean(x, (v) => v ** 2) - 1)).toBeLessThan(0.007);
    expect(Math.abs(mean(x, (v) => v ** 3))).toBeLessThan(0.02);
    expect(Math.abs(mean(x, (v) => v ** 4) - 3)).toBeLessThan(0.05);
  });

  it('have its shares, in the middle, at the rims of the layers and in the tail', () => {
    // P(|x| > t), from tables.
    for (const [t, share] of [
      [0.1, 0.920344],
      [0.5, 0.617075],
      [1, 0.317311],
      [2, 0.0455003],
      [3, 0.0026998],
      [3.6541528853610088, 0.000258],
      [4, 0.00006334],
    ] as const) {
      const got = mean(x, (v) => Number(Math.abs(v) > t));
      expect(Math.abs(got - share) / Math.sqrt(share / x.length), `beyond ${t}`).toBeLessThan(5);
    }
  });

  it('neighbours are not alike', () => {
    let sum = 0;
    for (let i = 1; i < x.length; i++) sum += (x[i] as number) * (x[i - 1] as number);
    expect(Math.abs(sum / x.length)).toBeLessThan(0.005);
  });
});

it('uniform numbers fill their range', () => {
  const [x] = values({ kind: 'uniform', bound: 0.5 }, [1000, 100]) as [Float32Array];
  for (let i = 0; i < 10; i++) {
    const share = mean(x, (v) => Number(v >= i / 10 - 0.5 && v < (i + 1) / 10 - 0.5));
    expect(Math.abs(share - 0.1)).toBeLessThan(0.005);
  }
});

it('a piece does not depend on the ones before it, nor on how long the tensor is', () => {
  const init: Init = { kind: 'normal', std: 2 };
  const [first, second] = values(init, [PIECE_NUMBERS + 10]);
  expect(first).toHaveLength(PIECE_NUMBERS);
  expect(second).toHaveLength(10);
  expect(values(init, [10])[0]).toEqual(first?.subarray(0, 10));
  expect(second).not.toEqual(first?.subarray(0, 10));
  expect(values(init, [10], 'other')[0]).not.toEqual(first?.subarray(0, 10));
});

it('are the same on every machine and for ever', () => {
  const [x] = values({ kind: 'normal', std: 1 }, [5]);
  expect([...(x ?? [])]).toMatchInlineSnapshot(`
    [
      0.3089342713356018,
      -2.373274326324463,
      0.6262626647949219,
      -0.3330637514591217,
      1.734412670135498,
    ]
  `);
});
