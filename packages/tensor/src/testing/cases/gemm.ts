/**
 * @file Cases of the matrix products: every transposition, edges of the blocking, few rows, batches, empty experts,
 * weights of 16 bits.
 */
import type { DType } from '../../device.ts';
import { typeCode } from '../../kernels.ts';
import { type Case, Draw } from '../case.ts';

export async function gemmCases(): Promise<Case[]> {
  const draw = new Draw('gemm');
  const cases: Case[] = [];
  const add = (
    M: number,
    N: number,
    K: number,
    transA: number,
    transB: number,
    accumulate = 0,
    batch = 1,
    type: DType = 'float',
  ) => {
    const C = accumulate ? { inPlace: draw.normal(batch * M * N) } : { output: batch * M * N };
    cases.push({
      name: `gemm ${M}x${N}x${K} ta${transA} tb${transB} accumulate${accumulate} batch${batch} ${type}`,
      kernel: 'gemm',
      buffers: [draw.normal(batch * M * K), { input: draw.normal(batch * K * N), type }, C],
      numbers: [M, N, K, transA, transB, accumulate, batch, M * K, K * N, M * N, typeCode(type)],
    });
  };
  for (const transA of [0, 1]) {
    for (const transB of [0, 1]) {
      add(1, 1, 1, transA, transB);
      add(1, 300, 50, transA, transB);
      add(7, 100, 65, transA, transB, 1);
      add(50, 37, 300, transA, transB);
      add(5, 9, 33, transA, transB, 0, 3);
    }
  }
  add(2, 33, 17, 0, 1, 1);
  add(2, 33, 17, 0, 1, 1, 2);
  add(1, 700, 520, 0, 1);
  add(130, 70, 520, 0, 1);
  add(20, 800, 40, 0, 0);
  add(400, 40, 33, 0, 1);
  add(4, 70, 1030, 0, 1);
  add(30, 40, 600, 1, 0);
  add(20, 10, 1024, 0, 0, 1);
  add(200, 20, 600, 1, 1);
  add(520, 130, 512, 1, 0); // a full buffer of packed columns
  for (const type of ['bf16', 'f16'] as const) {
    for (const M of [1, 3, 9]) for (const transB of [0, 1]) add(M, 75, 530, 0, transB, 0, 1, type);
    add(2, 33, 17, 0, 1, 1, 2, type);
    add(40, 130, 70, 1, 1, 1, 1, type);
  }
  for (const [M, N, K] of [
    [1, 40, 33],
    [5, 70, 33],
    [300, 20, 100],
    [1, 1, 0],
  ] as const) {
    const [x, gate, up] = [draw.normal(M * K), draw.normal(N * K), draw.normal(N * K)];
    const output = { output: M * N };
    cases.push({
      name: `gemm ${M}x${N}x${K} bias`,
      kernel: 'gemm',
      buffers: [x, gate, output, draw.normal(N)],
      numbers: [M, N, K, 0, 1, 0, 1, 0, 0, 0, 0],
    });
    cases.push({
      name: `gemm ${M}x${N}x${K} plus`,
      kernel: 'gemm',
      buffers: [x, gate, output, null, draw.normal(M * N)],
      numbers: [M, N, K, 0, 1, 0, 1, 0, 0, 0, 0],
    });
    for (const type of ['float', 'bf16'] as const) {
      const weights = [gate, up].map((input) => ({ input, type }));
      const kernel = 'gemm_swiglu';
      const [name, numbers] = [`gemm_swiglu ${M}x${N}x${K} ${type}`, [M, N, K, typeCode(type)]];
      cases.push({ name, kernel, buffers: [output, null, null, x, ...weights], numbers });
      cases.push({ name: `${name} kept`, kernel, buffers: [output, output, output, x, ...weights], numbers });
      const W = { input: gate, type };
      const kept = [draw.normal(M * N, 3), draw.normal(M * N)];
      cases.push({
        name: `gemm_swiglu_backward ${M}x${N}x${K} ${type}`,
        kernel: 'gemm_swiglu_backward',
        buffers: [output, output, ...kept, x, W],
        numbers,
      });
    }
  }
  add(3, 5, 0, 0, 0);
  add(3, 5, 0, 0, 0, 1);

  for (const [inner, outer, ...bounds] of [
    [20, 33, 0, 5, 5, 22, 23],
    [1, 3, 0, 5, 5, 22, 23],
    [70, 130, 0, 1, 180, 180, 200],
    [4, 6, 0, 0, 0],
  ] as [number, number, ...number[]][]) {
    const offsets = Int32Array.from(bounds);
    const [experts, rows] = [offsets.length - 1, offsets.at(-1) as number];
    const weights = draw.normal(experts * inner * outer);
    const sizes = `${inner}->${outer}`;
    const numbers = (form: number) => [form, experts, inner, outer];
    const [x, dy] = [draw.normal(rows * inner), draw.normal(rows * outer)];
    const kernel = 'gemm_grouped';
    for (const type of ['bf16', 'f16'] as const) {
      const w = { input: weights, type };
      const code = typeCode(type);
      const [y, dx] = [{ output: rows * outer }, { output: rows * inner }];
      cases.push(
        { name: `y ${sizes} ${type}`, kernel, buffers: [x, w, y, offsets], numbers: [...numbers(0), code] },
        { name: `dx ${sizes} ${type}`, kernel, buffers: [dy, w, dx, offsets], numbers: [...numbers(1), code] },
      );
    }
    cases.push(
      { name: `y ${sizes}`, kernel, buffers: [x, weights, { output: rows * outer }, offsets], numbers: numbers(0) },
      { name: `dx ${sizes}`, kernel, buffers: [dy, weights, { output: rows * inner }, offsets], numbers: numbers(1) },
      { name: `dw ${sizes}`, kernel, buffers: [x, dy, { output: weights.length }, offsets], numbers: numbers(2) },
    );
  }
  return cases;
}
