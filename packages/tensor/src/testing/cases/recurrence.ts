/** @file Cases of the linear recurrences: rules, decays, chunk lengths and edges, segments, carried states. */
import { type Case, Draw, outputs, zeros } from '../case.ts';

/** Chunks of the most divided sequence: every `length` tokens and at each position 0. */
export function chunksOf(B: number, T: number, length: number, position: Int32Array | null): number {
  let most = 0;
  for (let b = 0; b < B; b++) {
    let [chunks, start] = [0, 0];
    for (let t = 0; t < T; t++) {
      if (t > 0 && t - start < length && position?.[b * T + t] !== 0) continue;
      start = t;
      chunks++;
    }
    most = Math.max(most, chunks);
  }
  return most;
}

/** B T H dk dv chunk */
const SHAPES = [
  [1, 0, 2, 16, 16, 64],
  [1, 1, 1, 16, 16, 64],
  [2, 5, 2, 16, 32, 64],
  [1, 16, 2, 32, 16, 32],
  [2, 70, 2, 16, 32, 64],
  [1, 130, 2, 16, 48, 64],
  [1, 130, 1, 48, 32, 128],
  [1, 50, 1, 32, 16, 16],
  [1, 20, 1, 16, 272, 64],
] as const;

/** Gates per head or per key channel, uniform in [lowest, 0]. */
const RULES = {
  delta: { rule: 1, decay: 0, lowest: 0 },
  'delta, strengths apart': { rule: 2, decay: 0, lowest: 0 },
  'gated delta': { rule: 1, decay: 1, lowest: -0.5 },
  'gated delta, strengths apart': { rule: 2, decay: 1, lowest: -30 },
  kda: { rule: 1, decay: 2, lowest: -0.5 },
  'kda, strong decay': { rule: 2, decay: 2, lowest: -30 },
  linear: { rule: 0, decay: 0, lowest: 0 },
  'simple gla': { rule: 0, decay: 1, lowest: -0.2 },
  'simple gla, strong decay': { rule: 0, decay: 1, lowest: -30 },
  gla: { rule: 0, decay: 2, lowest: -0.2 },
  'gla, strong decay': { rule: 0, decay: 2, lowest: -30 },
} as const;

export async function recurrenceCases(): Promise<Case[]> {
  const draw = new Draw('recurrence');
  const cases: Case[] = [];
  for (const [B, T, H, dk, dv, chunk] of SHAPES) {
    for (const [label, { rule, decay, lowest }] of Object.entries(RULES)) {
      for (const [carried, segmented] of [
        [false, false],
        [true, false],
        [true, true],
      ]) {
        const [rows, size] = [B * T * H, B * H * dk * dv];
        const [q, k, v] = [draw.units(rows, dk), draw.units(rows, dk), draw.normal(rows * dv)];
        const write = rule > 0 || carried ? draw.uniform(rows, 0, 1) : null;
        const erase = rule === 2 ? draw.uniform(rows, 0, 1) : null;
        const gate = decay > 0 ? draw.uniform(decay === 2 ? rows * dk : rows, lowest, 0) : null;
        const start = carried ? draw.normal(size) : null;
        const position = segmented ? draw.positions(B, T) : null;
        const chunks = chunksOf(B, T, chunk, position);
        const numbers = [B, T, H, dk, dv, chunk, chunks, rule, decay];
        const name = `${label} ${numbers}${carried ? ' state' : ''}${segmented ? ' segments' : ''}`;
        const [out, end] = [{ output: rows * dv }, { output: size }];
        const saved = { inPlace: zeros(B * H * chunks * dk * dv) };
        const inputs = [q, k, v, write, erase, gate];
        const rest = [start, position];
        cases.push({
          name: `${name} unsaved`,
          kernel: 'recurrence',
          buffers: [out, end, null, ...inputs, ...rest],
          numbers,
        });
        cases.push({ name, kernel: 'recurrence', buffers: [out, end, saved, ...inputs, ...rest], numbers });
        const [, , states] = await outputs('recurrence', [out, end, saved, ...inputs, ...rest], numbers);
        const like = (x: Float64Array | null) => x && { output: x.length };
        const dend = carried ? draw.normal(size) : null;
        // Under strong decay one token makes up the gradient of `erase`: a single dot product, which may cancel.
        const loose = rule === 2 && lowest === -30 && { tolerance: 3e-5 };
        cases.push({
          name: `${name} backward`,
          kernel: 'recurrence_backward',
          ...loose,
          buffers: [...inputs.map(like), like(start), states, ...inputs, position, draw.normal(rows * dv), dend],
          numbers,
        });
      }
    }
  }
  return cases;
}
