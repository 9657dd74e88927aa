/** @file Cases of the vocabulary kernels: repeated ids, ignored targets, impossible tokens, empty and full tails, ties. */
import { type Case, Draw, outputs } from '../case.ts';

export async function lossCases(): Promise<Case[]> {
  const draw = new Draw('loss');
  const cases: Case[] = [];
  for (const [M, D, V] of [
    [1, 1, 1],
    [9, 20, 13],
    [500, 33, 40],
  ]) {
    const ids = draw.ints(M, 0, V - 1);
    for (const [down, up] of [
      ['embedding', 'embedding_backward'],
      ['gather_rows', 'scatter_rows'],
    ] as const) {
      const shape = `${[M, D, V]}`;
      cases.push({
        name: `${down} ${shape}`,
        kernel: down,
        buffers: [{ output: M * D }, draw.normal(V * D), ids],
        numbers: [M, D, V],
      });
      if (down === 'embedding') {
        for (const [code, type] of [
          [1, 'bf16'],
          [2, 'f16'],
        ] as const) {
          cases.push({
            name: `embedding ${shape} from ${type}`,
            kernel: 'embedding',
            buffers: [{ output: M * D }, { input: draw.normal(V * D), type }, ids],
            numbers: [M, D, V, code],
          });
        }
      }
      cases.push({
        name: `${up} ${shape}`,
        kernel: up,
        buffers: [{ output: V * D }, draw.normal(M * D), ids],
        numbers: [M, D, V],
      });
    }
  }

  for (const [M, V, K] of [
    [1, 1, 1],
    [5, 17, 1],
    [40, 130, 16],
    [3, 1000, 64],
    [4, 12, 12],
  ]) {
    const logits = draw.normal(M * V, 4);
    if (V > 16) logits[3] = Number.NEGATIVE_INFINITY;
    const target = draw.ints(M, 0, V - 1);
    if (M > 1) target[0] = -1;
    if (V > 16 && M > 1) logits[V + 4] = logits[V + 5] = 9; // a tie
    const [rows, all] = [{ output: M }, { output: M * V }];
    const dloss = draw.normal(M);
    if (M > 2) dloss[2] = 0;
    const shape = `${[M, V, K]}`;
    const forward = [rows, rows, logits, target];
    const [, lse] = await outputs('cross_entropy', forward, [M, V]);
    cases.push({ name: `cross_entropy ${shape}`, kernel: 'cross_entropy', buffers: forward, numbers: [M, V] });
    cases.push({
      name: `cross_entropy_backward ${shape}`,
      kernel: 'cross_entropy_backward',
      buffers: [all, logits, lse, target, dloss],
      numbers: [M, V],
    });
    const top = [{ output: M * K, int: true }, { output: M * K }, rows];
    cases.push({ name: `top_k ${shape}`, kernel: 'top_k', buffers: [...top, logits], numbers: [M, V, K] });
    const teacher = (await outputs('top_k', [...top, draw.normal(M * V, 3)], [M, V, K])) as [
      Int32Array,
      Float64Array,
      Float64Array,
    ];
    if (M > 1) teacher[2][1] = Math.fround(1e-9); // too light to count
    if (V > 16) logits[3] = -20; // the student must not rule out what the teacher may say
    const kl = [rows, rows, rows, logits, ...teacher];
    const [, klLse, klTail] = await outputs('kl_top_k', kl, [M, V, K]);
    cases.push({ name: `kl_top_k ${shape}`, kernel: 'kl_top_k', buffers: kl, numbers: [M, V, K] });
    cases.push({
      name: `kl_top_k_backward ${shape}`,
      kernel: 'kl_top_k_backward',
      buffers: [all, logits, klLse, klTail, ...teacher, dloss],
      numbers: [M, V, K],
    });
  }

  for (const [M, V] of [
    [1, 1],
    [4, 16],
    [3, 33],
    [2, 5000],
  ]) {
    const [student, teacher] = [draw.normal(M * V, 3), draw.normal(M * V, 3)];
    if (V > 4096) {
      // Refs that rise far after the first block, in each row and in both.
      student[4099] = 105;
      teacher[4200] = 102;
      student[V + 2] = Number.NEGATIVE_INFINITY;
      teacher[V + 2] = Number.NEGATIVE_INFINITY;
    }
    const weights = draw.uniform(M, 0.5, 2);
    if (M > 2) weights[1] = 0;
    for (const direction of [0, 1]) {
      for (const temperature of [1, 2]) {
        const name = `divergence ${[M, V, direction, temperature]}`;
        const call = { kernel: 'divergence' as const, numbers: [M, V, direction, temperature] };
        const outs = [{ output: M }, { output: M * V }];
        // A gradient, with the tolerance of a backward pass.
        cases.push({ name, ...call, buffers: [...outs, student, teacher, weights], tolerance: 1e-5 });
        cases.push({ name: `${name}, loss alone`, ...call, buffers: [{ output: M }, null, student, teacher, null] });
      }
    }
    const scales = draw.normal(M);
    scales[0] = 1;
    const scaled = [{ inPlace: draw.normal(M * V) }, scales];
    cases.push({ name: `scale_rows ${[M, V]}`, kernel: 'scale_rows', buffers: scaled, numbers: [M, V] });
  }
  // Few long rows are shared between threads; a large gradient is stored past the caches.
  for (const [M, V] of [
    [1, 20_000],
    [27, 20_000],
  ] as const) {
    const [student, teacher] = [draw.normal(M * V, 3), draw.normal(M * V, 3)];
    for (const direction of [0, 1]) {
      cases.push({
        name: `divergence of long rows ${[M, V, direction]}`,
        kernel: 'divergence',
        numbers: [M, V, direction, 1],
        buffers: [{ output: M }, { output: M * V }, student, teacher, null],
        tolerance: 1e-5,
      });
    }
  }
  return cases;
}
