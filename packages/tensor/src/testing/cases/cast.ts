/** @file Cases of the conversion between storage types: ties, subnormals, overflow, infinities, NaN. */
import type { DType } from '../../device.ts';
import { typeCode } from '../../kernels.ts';
import { type Case, Draw } from '../case.ts';

const TYPES: DType[] = ['float', 'bf16', 'f16'];

/** Around each: the number itself, half a unit, and a little on both sides of the tie. */
function edges(type: DType): Float64Array {
  const unit = type === 'f16' ? 2 ** -10 : 2 ** -7;
  const values = [
    0,
    -0,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    65504,
    65519.99,
    65520,
    3.4e38,
  ];
  values.push(-65520, 2 ** -24, 2 ** -25, 3 * 2 ** -25, 2 ** -26, 2 ** -14, 2 ** -126, 2 ** -133, 2 ** -134, 2 ** -149);
  for (const scale of [1, -3, 2 ** -14, 2 ** -20, 2 ** -126, 1000]) {
    for (const part of [0, 0.5, 1, 1.5, 0.499, 0.501, 1.499, 1.501]) values.push(scale * (1 + part * unit));
  }
  return Float64Array.from(values, Math.fround);
}

export async function castCases(): Promise<Case[]> {
  const draw = new Draw('cast');
  const cases: Case[] = [];
  const add = (name: string, input: Float64Array, from: DType, to: DType) =>
    cases.push({
      name: `cast ${name} ${from} to ${to}`,
      kernel: 'cast',
      buffers: [
        { output: input.length, type: to },
        { input, type: from },
      ],
      numbers: [input.length, typeCode(to), typeCode(from)],
      tolerance: 0,
    });
  for (const from of TYPES) {
    for (const to of TYPES) {
      for (const count of [0, 1, 257, 20_001]) add(`${count}`, draw.normal(count, 30), from, to);
      add('edges', edges(to), from, to);
    }
  }
  return cases;
}
