/** @file Cases of the head kernels: parts of blocks, of stripes and of vectors, many chunks of rows, rows that do not count. */
import type { DType } from '../../device.ts';
import { type Argument, type Case, Draw, outputs } from '../case.ts';

/** [rows, vocabulary, width, top k]. Blocks hold 112 entries, tiles 16 blocks, sums 384 at once, chunks 512 rows. */
const SHAPES = [
  [1, 1, 1, 1],
  [3, 113, 5, 4],
  [70, 230, 40, 12],
  [20, 1900, 8, 8],
  [17, 20, 400, 3],
  [530, 10, 33, 3],
] as const;

export async function headCases(): Promise<Case[]> {
  const draw = new Draw('head');
  const cases: Case[] = [];
  for (const [N, V, d, K] of SHAPES) {
    const hidden = draw.normal(N * d);
    const head = draw.normal(V * d, 3 / Math.sqrt(d));
    const targets = draw.ints(N, 0, V - 1);
    if (N > 2) targets[1] = -1;
    const logits = draw.normal(N * V, 2);
    const top = [{ output: N * K, int: true }, { output: N * K }, { output: N }, logits];
    const [ids, logp, tail] = (await outputs('top_k', top, [N, V, K])) as [Int32Array, Float64Array, Float64Array];
    if (N > 2) tail[2] = Math.fround(1e-9); // too light to count
    targets[0] = ids[0] as number; // a target among the top k
    const rows = { output: N };
    const tops = [{ output: N * K, int: true }, { output: N * K }, rows];
    for (const [code, type] of ['float', 'bf16'].entries()) {
      cases.push({
        name: `head_top_k ${[N, V, d, K]} ${type}`,
        kernel: 'head_top_k',
        buffers: [...tops, hidden, { input: head, type: type as DType }],
        numbers: [N, V, d, K, code],
      });
    }
    const [dce, dkl] = [draw.normal(N), draw.normal(N)];
    if (N > 2) dkl[0] = dce[2] = 0;
    const shape = `${[N, V, d, K]}`;
    const both = { head, type: 'float', code: 0, targets, teacher: [ids, logp, tail] } as const;
    const variants: Record<
      string,
      {
        head: Float64Array;
        type: 'float' | 'bf16' | 'f16';
        code: number;
        targets: Int32Array | null;
        teacher: readonly Argument[] | null;
      }
    > = {
      'both losses': both,
      'cross-entropy': { ...both, teacher: null },
      'KL, bf16 head': { ...both, targets: null, type: 'bf16', code: 1 },
      'both, f16 head': { ...both, type: 'f16', code: 2 },
    };
    for (const [name, v] of Object.entries(variants)) {
      const weights: Argument = v.type === 'float' ? head : { input: head, type: v.type };
      const k = v.teacher ? K : 0;
      const given = [v.targets, ...(v.teacher ?? [null, null, null])];
      const outs = [v.targets ? rows : null, v.teacher ? rows : null, rows, v.teacher ? rows : null];
      const numbers = [N, V, d, k, v.code];
      const buffers = [...outs, hidden, weights, ...given];
      cases.push({ name: `head_loss ${shape}, ${name}`, kernel: 'head_loss', buffers, numbers });
      const saved = (await outputs('head_loss', buffers, numbers)).slice(-1 - Number(v.teacher !== null));
      const [lse, lseTail = null] = saved as Float64Array[];
      const incoming = [v.targets ? dce : null, v.teacher ? dkl : null];
      cases.push({
        name: `head_loss_backward ${shape}, ${name}`,
        kernel: 'head_loss_backward',
        buffers: [
          { output: N * d },
          { output: V * d },
          hidden,
          weights,
          lse as Float64Array,
          lseTail,
          ...given,
          ...incoming,
        ],
        numbers,
      });
    }
  }
  for (const [N, V, d, dt] of [
    [1, 1, 1, 1],
    [70, 230, 12, 40],
    [20, 1900, 8, 5],
  ]) {
    const student = [draw.normal(N * d), draw.normal(V * d, 2 / Math.sqrt(d))];
    const teacher: Argument[] = [draw.normal(N * dt), { input: draw.normal(V * dt, 2 / Math.sqrt(dt)), type: 'bf16' }];
    const dloss = draw.normal(N);
    if (N > 2) dloss[1] = 0;
    for (const [direction, temperature] of [
      [0, 1],
      [1, 2],
    ]) {
      const numbers = [N, V, d, dt, direction, temperature, 0, 1];
      const buffers = [...[0, 1, 2].map(() => ({ output: N })), ...student, ...teacher];
      const shape = `${numbers.slice(0, 6)}`;
      cases.push({ name: `head_divergence ${shape}`, kernel: 'head_divergence', buffers, numbers });
      const saved = await outputs('head_divergence', buffers, numbers);
      cases.push({
        name: `head_divergence_backward ${shape}`,
        kernel: 'head_divergence_backward',
        buffers: [{ output: N * d }, { output: V * d }, ...student, ...teacher, ...saved, dloss],
        numbers,
      });
    }
  }
  const [N, V, d] = [5, 20, 8];
  const [hidden, head, lse] = [draw.normal(N * d), draw.normal(V * d), draw.normal(N)];
  const none = new Int32Array(N).fill(-1);
  const rest = [hidden, head, lse, null, none, null, null, null, draw.normal(N), null];
  cases.push({
    name: 'head_loss_backward, no row counts',
    kernel: 'head_loss_backward',
    buffers: [{ output: N * d }, { output: V * d }, ...rest],
    numbers: [N, V, d, 0, 0],
  });
  cases.push({
    name: 'head_loss_backward, hidden alone',
    kernel: 'head_loss_backward',
    buffers: [
      { output: N * d },
      null,
      hidden,
      head,
      lse,
      null,
      draw.ints(N, 0, V - 1),
      null,
      null,
      null,
      draw.normal(N),
      null,
    ],
    numbers: [N, V, d, 0, 0],
  });
  return cases;
}
