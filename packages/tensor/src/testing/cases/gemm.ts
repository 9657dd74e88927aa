/** @file Cases of the matrix products: every transposition, edges of the blocking, few rows, batches, empty experts. */
import { type Case, Draw } from '../case.ts';

export async function gemmCases(): Promise<Case[]> {
  const draw = new Draw('gemm');
  const cases: Case[] = [];
  const add = (M: number, N: number, K: number, transA: number, transB: number, accumulate = 0, batch = 1) => {
    const C = accumulate ? { inPlace: draw.normal(batch * M * N) } : { output: batch * M * N };
    cases.push({
      name: `gemm ${M}x${N}x${K} ta${transA} tb${transB} accumulate${accumulate} batch${batch}`,
      kernel: 'gemm',
      buffers: [draw.normal(batch * M * K), draw.normal(batch * K * N), C],
      numbers: [M, N, K, transA, transB, accumulate, batch, M * K, K * N, M * N],
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
  add(3, 5, 0, 0, 0);
  add(3, 5, 0, 0, 0, 1);

  const offsets = Int32Array.of(0, 5, 5, 22, 23);
  const [experts, rows] = [offsets.length - 1, 23];
  for (const [inner, outer] of [
    [20, 33],
    [1, 3],
  ]) {
    const weights = draw.normal(experts * inner * outer);
    const sizes = `${inner}->${outer}`;
    const numbers = (form: number) => [form, experts, inner, outer];
    const [x, dy] = [draw.normal(rows * inner), draw.normal(rows * outer)];
    const kernel = 'gemm_grouped';
    cases.push(
      { name: `y ${sizes}`, kernel, buffers: [x, weights, { output: rows * outer }, offsets], numbers: numbers(0) },
      { name: `dx ${sizes}`, kernel, buffers: [dy, weights, { output: rows * inner }, offsets], numbers: numbers(1) },
      { name: `dw ${sizes}`, kernel, buffers: [x, dy, { output: weights.length }, offsets], numbers: numbers(2) },
    );
  }
  return cases;
}
