/** @file Cases of the delta rule and gated linear attention: chunk edges, segments, carried states, strong decay. */
import { type Case, Draw, outputs, zeros } from '../case.ts';

const CHUNK = 64;

/** Chunks of the most divided sequence: every 64 tokens and at each position 0. */
export function chunksOf(B: number, T: number, position: Int32Array | null): number {
  let most = 0;
  for (let b = 0; b < B; b++) {
    let [chunks, start] = [0, 0];
    for (let t = 0; t < T; t++) {
      if (t > 0 && t - start < CHUNK && position?.[b * T + t] !== 0) continue;
      start = t;
      chunks++;
    }
    most = Math.max(most, chunks);
  }
  return most;
}

const SHAPES = [
  [1, 1, 1, 16, 16],
  [2, 5, 2, 16, 32],
  [1, 16, 2, 32, 16],
  [2, 70, 2, 16, 32],
  [1, 130, 2, 16, 48],
  [1, 20, 1, 16, 272],
] as const;

export async function recurrenceCases(): Promise<Case[]> {
  const draw = new Draw('recurrence');
  const cases: Case[] = [];
  for (const [B, T, H, dk, dv] of SHAPES) {
    for (const rule of ['delta_rule', 'gla', 'gla strong decay'] as const) {
      const kernel = rule === 'delta_rule' ? 'delta_rule' : 'gla';
      for (const carried of [false, true]) {
        for (const segmented of [false, true]) {
          const [rows, size] = [B * T * H, B * H * dk * dv];
          const [q, k, v] = [draw.units(rows, dk), draw.units(rows, dk), draw.normal(rows * dv)];
          const gate =
            rule === 'delta_rule' ? draw.uniform(rows, 0, 1) : draw.uniform(rows * dk, rule === 'gla' ? -0.2 : -30, 0);
          const start = carried ? draw.normal(size) : null;
          const position = segmented ? draw.positions(B, T) : null;
          const chunks = chunksOf(B, T, position);
          const numbers = [B, T, H, dk, dv, chunks];
          const name = `${rule} ${numbers}${carried ? ' state' : ''}${segmented ? ' segments' : ''}`;
          const [out, end] = [{ output: rows * dv }, { output: size }];
          const saved = { inPlace: zeros(B * H * chunks * dk * dv) };
          const inputs = [q, k, v, gate, start, position];
          // Running sums of g reach -1000 in a chunk, where float32 is 6e-5 apart; the gate gradient, a running sum of
          // q dq - k dk, is small beside its terms.
          const loose = rule === 'gla strong decay' && { tolerance: 3e-5 };
          cases.push({ name: `${name} unsaved`, kernel, buffers: [out, end, null, ...inputs], numbers, ...loose });
          cases.push({ name, kernel, buffers: [out, end, saved, ...inputs], numbers, ...loose });
          const [, , states] = await outputs(kernel, [out, end, saved, ...inputs], numbers);
          const dend = carried ? draw.normal(size) : null;
          const [like, likeGate] = [{ output: rows * dk }, { output: gate.length }];
          cases.push({
            name: `${name} backward`,
            kernel: `${kernel}_backward`,
            ...loose,
            buffers: [
              like,
              like,
              out,
              likeGate,
              carried ? end : null,
              states,
              q,
              k,
              v,
              gate,
              position,
              draw.normal(rows * dv),
              dend,
            ],
            numbers,
          });
        }
      }
    }
  }
  return cases;
}
