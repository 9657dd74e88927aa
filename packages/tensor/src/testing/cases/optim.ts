/** @file Cases of the reductions and AdamW. */
import { typeCode } from '../../kernels.ts';
import { type Argument, type Case, Draw } from '../case.ts';

const NUMBERS = [1e-2, 0.9, 0.95, 1e-8, 0.1, 1 / (1 - 0.9 ** 3), 1 / (1 - 0.95 ** 3), 0.5];

export async function optimCases(): Promise<Case[]> {
  const draw = new Draw('optim');
  return [0, 1, 100, 4096, 30_001].flatMap((count): Case[] => {
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
}
