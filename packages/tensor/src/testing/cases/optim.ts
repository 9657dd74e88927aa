/** @file Cases of the reductions and AdamW. */
import { typeCode } from '../../kernels.ts';
import { type Argument, type Case, Draw } from '../case.ts';

const NUMBERS = [1e-2, 0.9, 0.95, 1e-8, 0.1, 1 / (1 - 0.9 ** 3), 1 / (1 - 0.95 ** 3), 0.5];

export async function optimCases(): Promise<Case[]> {
  const draw = new Draw('optim');
  const flat = [0, 1, 100, 4096, 30_001].flatMap((count): Case[] => {
    const [x, y] = [draw.normal(count), draw.normal(count)];
    const state = [draw.normal(count), draw.normal(count, 0.1), draw.uniform(count, 0, 0.01)];
    return [
      {
        name: `sum_squares ${count}`,
        kernel: 'sum_squares',
        buffers: [{ inPlace: Float64Array.of(0.5) }, x],
        numbers: [count],
      },
      { name: `dot ${count}`, kernel: 'dot', buffers: [{ output: 1 }, x, y], numbers: [count, 0.25] },
      {
        name: `adamw ${count}`,
        kernel: 'adamw',
        buffers: [...state.map((inPlace) => ({ inPlace })), x],
        numbers: [count, ...NUMBERS],
      },
      ...(['bf16', 'f16'] as const).map((type): Case => {
        const [master, m, v] = state.map((inPlace) => ({ inPlace }));
        return {
          name: `adamw ${type} ${count}`,
          kernel: 'adamw',
          buffers: [{ output: count, type }, m, v, x, master] as Argument[],
          numbers: [count, ...NUMBERS, typeCode(type)],
          // Masters that lie beside a tie of the storage type may round to different sides of it.
          tolerance: 1e-3,
        };
      }),
    ];
  });
  const matrices = [
    [1, 1, 1],
    [1, 64, 100],
    [3, 17, 5],
    [0, 4, 4],
  ].flatMap(([batch, N, K]): Case[] => {
    return [
      {
        name: `momentum ${[batch, N, K]}`,
        kernel: 'momentum',
        buffers: [
          { inPlace: draw.normal(batch * N * K + 3) },
          { inPlace: draw.normal(batch * N * K) },
          draw.normal(batch * N * K),
        ],
        numbers: [batch * N * K, 0.95, 0.5, 3],
      },
    ];
  });
  // Wide, tall and square; rows that fill no tile; more and fewer matrices than threads; large enough for several blocks.
  const orthogonal = [
    [1, 1, 1, 5],
    [0, 4, 4, 5],
    [3, 17, 5, 4],
    [4, 8, 40, 0],
    [1, 64, 100, 5],
    [5, 50, 33, 3],
    [1, 200, 410, 2],
    [2, 130, 130, 2],
  ].map(
    ([batch, R, C, steps]): Case => ({
      name: `orthogonalize ${[batch, R, C, steps]}`,
      kernel: 'orthogonalize',
      buffers: [
        { inPlace: draw.normal(batch * R * C) },
        { output: batch * (R * C + 4 * Math.min(R, C) ** 2), scratch: true },
      ],
      numbers: [batch, R, C, steps, 3.4445, -4.775, 2.0315],
      // Small singular values grow more than threefold each step, and so does their rounding.
      tolerance: 2e-5,
    }),
  );
  // Rows that nobody touches, rows that come often, tables of one row and of more than two digits of the sort.
  const sparse = [
    [0, 4, 3],
    [1, 1, 1],
    [40, 5, 7],
    [600, 32, 5000],
    [300, 17, 1],
  ].map(([M, D, V]): Case => {
    const table = [draw.normal(V * D), draw.normal(V * D, 0.1), draw.uniform(V * D, 0, 0.01)];
    const [lr, b1, b2, eps, , c1, c2, scale] = NUMBERS;
    return {
      name: `sparse_adam ${[M, D, V]}`,
      kernel: 'sparse_adam',
      buffers: [...table.map((inPlace) => ({ inPlace })), draw.normal(M * D), draw.ints(M, 0, V - 1)],
      numbers: [M, D, V, lr, b1, b2, eps, c1, c2, scale],
    };
  });
  const balance = [
    [1, 1, 1],
    [2, 8, 1],
    [3, 17, 2],
  ].map(([layers, E, loops]): Case => {
    const counts = Array.from({ length: loops }, () => Float64Array.from(draw.ints(E, 0, 50)));
    const state = [draw.normal(layers * E), draw.normal(layers * E, 0.01), draw.uniform(layers, 0, 1)];
    return {
      name: `smebu ${[layers, E, loops]}`,
      kernel: 'smebu',
      buffers: [...state.map((inPlace) => ({ inPlace })), ...counts],
      numbers: [layers - 1, E, loops, 2e-3, 2, 0.5],
    };
  });
  return [...flat, ...matrices, ...orthogonal, ...sparse, ...balance];
}
