/** @file Cases of slot attention and its router: block and chunk edges, shared key heads, segments, carried states. */
import { type Case, Draw, outputs } from '../case.ts';
import { chunksOf } from './recurrence.ts';

/** B, T, H, Hk, M, dk, dv */
const SHAPES = [
  [1, 0, 1, 1, 16, 16, 16],
  [1, 1, 1, 1, 16, 16, 16],
  [2, 5, 4, 2, 16, 16, 32],
  [1, 16, 2, 1, 32, 32, 16],
  [2, 70, 2, 2, 16, 16, 32],
  [1, 130, 2, 1, 48, 16, 48],
] as const;

export async function slotCases(): Promise<Case[]> {
  const draw = new Draw('slots');
  const cases: Case[] = [];
  for (const [B, T, H, Hk, M, dk, dv] of SHAPES) {
    for (const decay of ['', ' strong decay']) {
      for (const carried of [false, true]) {
        for (const segmented of [false, true]) {
          const [rows, keys, sizeK, sizeV] = [B * T * H, B * T * Hk, B * H * M * dk, B * H * M * dv];
          const [q, k, v] = [draw.normal(rows * dk), draw.normal(keys * dk), draw.normal(keys * dv)];
          // Half the slots of a token are not written.
          const g = draw.uniform(rows * M, decay ? -30 : -0.5, 0).map((x, i) => ((i * 7) % 11 < 5 ? 0 : x));
          const starts = carried ? [draw.normal(sizeK), draw.normal(sizeV)] : [null, null];
          const position = segmented ? draw.positions(B, T) : null;
          const chunks = chunksOf(B, T, 64, position);
          const numbers = [B, T, H, Hk, M, dk, dv, chunks];
          const name = `slot_attention ${numbers}${decay}${carried ? ' state' : ''}${segmented ? ' segments' : ''}`;
          const [out, endK, endV] = [{ output: rows * dv }, { output: sizeK }, { output: sizeV }];
          // Chunks that a sequence has fewer of than the most divided one are not written.
          const saved = [sizeK, sizeV].map((size) => ({ inPlace: new Float64Array(size * chunks) }));
          const inputs = [q, k, v, g, ...starts, position];
          const kernel = 'slot_attention';
          cases.push({ name: `${name} unsaved`, kernel, buffers: [out, endK, endV, null, null, ...inputs], numbers });
          const all = [out, endK, endV, ...saved, ...inputs];
          cases.push({ name, kernel, buffers: all, numbers });
          const states = (await outputs(kernel, all, numbers)).slice(3);
          const dend = carried ? [draw.normal(sizeK), draw.normal(sizeV)] : [null, null];
          cases.push({
            name: `${name} backward`,
            kernel: 'slot_attention_backward',
            buffers: [
              ...[rows * dk, keys * dk, keys * dv, rows * M].map((output) => ({ output })),
              ...(carried ? [endK, endV] : [null, null]),
              ...[...states, q, k, v, g, position, draw.normal(rows * dv), ...dend],
            ],
            numbers,
          });
        }
      }
    }
  }

  for (const [tokens, H, M, K] of [
    [0, 1, 4, 2],
    [1, 1, 1, 1],
    [3, 2, 5, 5],
    [40, 3, 64, 32],
    [20, 2, 33, 1],
  ] as const) {
    for (const biased of [false, true]) {
      const rows = tokens * H;
      // Whole numbers, so that many scores are equal.
      const r = draw.normal(rows * M, 2).map((x) => (rows % 2 ? x : Math.round(x)));
      const z = draw.normal(rows, 2);
      const [rate, shift] = [draw.normal(H), draw.normal(H)];
      const bias = biased ? draw.normal(H * M, 0.1) : null;
      const numbers = [tokens, H, M, K];
      const name = `${numbers}${biased ? ' bias' : ''}`;
      const inputs = [r, z, rate, shift, bias];
      cases.push({
        name: `slot_gates ${name}`,
        kernel: 'slot_gates',
        buffers: [{ output: rows * M }, ...inputs],
        numbers,
      });
      cases.push({
        name: `slot_gates_backward ${name}`,
        kernel: 'slot_gates_backward',
        buffers: [{ output: rows * M }, { output: rows }, { output: rows }, ...inputs, draw.normal(rows * M)],
        numbers,
      });
    }
  }
  return cases;
}
