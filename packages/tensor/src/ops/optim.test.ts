/** @file Orthogonal updates and Adam on rows, on the oracle and on the best device. */
import { describe, expect, it } from 'vitest';
import { openDevice } from '../devices/open.ts';
import { referenceDevice } from '../devices/reference/device.ts';
import { Tensor } from '../tensor.ts';
import { Draw } from '../testing/case.ts';
import { orthogonalize, sparseAdam } from './index.ts';

const draw = new Draw('optim');

describe.each([
  ['oracle', referenceDevice({ precision: 'f64' })],
  ['best device', openDevice('auto')],
])('%s', (_, device) => {
  it.each([[[16, 40]], [[40, 16]], [[1, 9]], [[3, 8, 20]]])(
    'orthogonalize: singular values near one, %s',
    async (shape) => {
      const [R, C] = shape.slice(-2) as [number, number];
      const given = draw.normal(shape.reduce((a, b) => a * b, 1));
      const x = [...(await orthogonalize(Tensor.from(device, shape, given)).read())];
      const n = Math.min(R, C);
      for (let at = 0; at < x.length; at += R * C) {
        // Rows or columns, whichever are fewer, are of length about one and about orthogonal; the direction is that given.
        const element = (i: number, k: number) => x[at + (R <= C ? i * C + k : k * C + i)] as number;
        const gram = (i: number, j: number) =>
          Array.from({ length: Math.max(R, C) }, (_, k) => element(i, k) * element(j, k)).reduce((a, b) => a + b);
        let along = 0;
        for (let i = 0; i < R * C; i++) along += (x[at + i] as number) * (given[at + i] as number);
        expect(along).toBeGreaterThan(0);
        let trace = 0;
        for (let i = 0; i < n; i++) {
          trace += gram(i, i);
          for (let j = 0; j < i; j++) expect(Math.abs(gram(i, j))).toBeLessThan(0.35);
        }
        expect(trace / n).toBeGreaterThan(0.45);
        expect(trace / n).toBeLessThan(1.4);
      }
    },
  );

  it('orthogonalize: nothing to do for no elements', async () => {
    expect(await orthogonalize(Tensor.zeros(device, [0, 4])).read()).toHaveLength(0);
  });

  it('sparseAdam: a row that comes twice moves once by the sum; others stay', async () => {
    const settings = { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-8, step: 1 };
    const run = async (ids: number[], gradient: number[]) => {
      const table = Tensor.from(device, [4, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
      const [m, v] = [Tensor.zeros(device, [4, 2]), Tensor.zeros(device, [4, 2])];
      const rows = Tensor.from(device, [ids.length], ids, 'int');
      sparseAdam(table, m, v, Tensor.from(device, [ids.length, 2], gradient), rows, settings);
      return [...(await table.read()), ...(await m.read()), ...(await v.read())];
    };
    const twice = await run([2, 0, 2], [1, -2, 0.5, 0.5, 3, 1]);
    expect(twice).toEqual(await run([0, 2], [0.5, 0.5, 4, -1]));
    expect(twice.slice(2, 4)).toEqual([3, 4]);
    // The first step of Adam is lr against the sign of the gradient.
    expect(twice[4]).toBeCloseTo(4.9, 6);
    expect(twice[5]).toBeCloseTo(6.1, 6);
  });
});
