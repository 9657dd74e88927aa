/** @file Cases of the elementwise kernels. */
import { type Case, Draw } from '../case.ts';

export async function elementwiseCases(): Promise<Case[]> {
  const draw = new Draw('elementwise');
  const cases: Case[] = [];
  for (const count of [1, 17, 20_001]) {
    const x = draw.normal(count, 4);
    const y = draw.normal(count);
    const out = { output: count };
    cases.push({ name: `fill ${count}`, kernel: 'fill', buffers: [out], numbers: [count, -1.25] });
    cases.push({ name: `axpby ${count}`, kernel: 'axpby', buffers: [out, x, y], numbers: [count, 0.5, -3] });
    cases.push({
      name: `axpby at ${count}`,
      kernel: 'axpby',
      buffers: [out, x, draw.normal(count + 5)],
      numbers: [count, 0.5, -3, 5],
    });
    cases.push({ name: `axpby alone ${count}`, kernel: 'axpby', buffers: [out, x, null], numbers: [count, 0.5, -3] });
    cases.push({ name: `multiply ${count}`, kernel: 'multiply', buffers: [out, x, y], numbers: [count] });
    cases.push({ name: `clamp ${count}`, kernel: 'clamp', buffers: [out, x], numbers: [count, -3, 0.5] });
    const bounds = [count, -3, 0.5];
    cases.push({ name: `clamp_backward ${count}`, kernel: 'clamp_backward', buffers: [out, x, y], numbers: bounds });
    for (const op of [0, 1, 2, 3]) {
      cases.push({ name: `unary ${op} ${count}`, kernel: 'unary', buffers: [out, x], numbers: [count, op] });
      cases.push({
        name: `unary_backward ${op} ${count}`,
        kernel: 'unary_backward',
        buffers: [out, x, y],
        numbers: [count, op],
      });
    }
  }
  for (const count of [1, 20_001]) {
    const [x, gate, dy, out] = [draw.normal(count), draw.normal(count, 4), draw.normal(count), { output: count }];
    cases.push({ name: `sigmoid_gate ${count}`, kernel: 'sigmoid_gate', buffers: [out, x, gate], numbers: [count] });
    cases.push({
      name: `sigmoid_gate_backward ${count}`,
      kernel: 'sigmoid_gate_backward',
      buffers: [out, out, x, gate, dy],
      numbers: [count],
    });
  }
  for (const [M, N] of [
    [1, 1],
    [5, 33],
    [700, 48],
  ]) {
    const x = draw.normal(M * N);
    const shape = `${M}x${N}`;
    cases.push({
      name: `add_bias ${shape}`,
      kernel: 'add_bias',
      buffers: [{ output: M * N }, x, draw.normal(N)],
      numbers: [M, N],
    });
    cases.push({
      name: `scale_columns ${shape}`,
      kernel: 'scale_columns',
      buffers: [{ output: M * N }, x, draw.normal(N)],
      numbers: [M, N],
    });
    cases.push({ name: `sum_rows ${shape}`, kernel: 'sum_rows', buffers: [{ output: N }, x], numbers: [M, N] });
    for (const joined of [true, false]) {
      const [gate, up] = joined ? [draw.normal(2 * M * N, 3), null] : [draw.normal(M * N, 3), draw.normal(M * N)];
      const [dgate, dup] = joined ? [{ output: 2 * M * N }, null] : [{ output: M * N }, { output: M * N }];
      const form = joined ? 'joined' : 'apart';
      cases.push({
        name: `swiglu ${form} ${shape}`,
        kernel: 'swiglu',
        buffers: [{ output: M * N }, gate, up],
        numbers: [M, N],
      });
      cases.push({
        name: `swiglu_backward ${form} ${shape}`,
        kernel: 'swiglu_backward',
        buffers: [dgate, dup, gate, up, draw.normal(M * N)],
        numbers: [M, N],
      });
    }
  }
  return cases;
}
