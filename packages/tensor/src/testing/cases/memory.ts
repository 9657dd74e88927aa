/** @file Cases of latent memory: segments that end in, at and after the block, documents within it, carried states. */
import { type Case, Draw, outputs } from '../case.ts';

const SEGMENT = 64;

/** B, T, K, D, position of the first token */
const SHAPES = [
  [1, 0, 16, 16, 0],
  [1, 1, 16, 16, 63],
  [2, 3, 16, 32, 62],
  [1, 64, 32, 16, 0],
  [2, 150, 16, 32, 5],
  [1, 200, 48, 16, 64],
] as const;

export async function memoryCases(): Promise<Case[]> {
  const draw = new Draw('memory');
  const cases: Case[] = [];
  for (const [B, T, K, D, first] of SHAPES) {
    for (const form of ['plain', 'positions', 'positions and state', 'documents and state']) {
      const [tokens, size] = [B * T * D, B * K * D];
      const positions =
        form === 'plain'
          ? null
          : Int32Array.from({ length: B * T }, (_, i) => {
              const t = i % T;
              return form.startsWith('documents') && t >= 20 ? t - 20 : first + t;
            });
      const carried = form.endsWith('state');
      // Small, so that no read is so sharp that its gradient is a difference of equal terms.
      const start = carried ? draw.normal(size, 0.3) : null;
      const open = carried ? draw.normal(B * (SEGMENT - 1) * (D + 1)) : null;
      // Saliency is in [0, 1]; a few rows were never seen.
      if (open)
        for (let r = 0; r < B * (SEGMENT - 1); r++) {
          const row = r % (SEGMENT - 1);
          open[r * (D + 1) + D] = row === 3 ? -1 : Math.fround(((row * 37) % 101) / 101);
        }
      const inputs = [draw.normal(tokens), draw.uniform(B * T, 0, 1), draw.normal(tokens, 0.5)];
      const parameters = [draw.normal(D), draw.normal(D), draw.normal(1, 0.3)];
      const initial = draw.units(K, D);
      let room = 0;
      for (let b = 0; b < B; b++) {
        let count = 0;
        for (let t = 0; t < T; t++) count += Number(t === 0 || (positions ? positions[b * T + t] : t) % SEGMENT === 0);
        room = Math.max(room, count);
      }
      const numbers = [B, T, K, D, room];
      const name = `latent_memory ${numbers} ${form}`;
      const states = { inPlace: new Float64Array(B * room * K * D) };
      const endOpen = { output: B * (SEGMENT - 1) * (D + 1) };
      const buffers = [
        ...[{ output: tokens }, { output: size }, endOpen, states],
        ...[...inputs, ...parameters, initial, start, open, positions],
      ];
      cases.push({ name, kernel: 'latent_memory', buffers, numbers });
      const saved = (await outputs('latent_memory', buffers, numbers))[3] as Float64Array;
      const like = [...inputs, ...parameters, initial].map((x) => ({ output: x.length }));
      cases.push({
        name: `${name} backward`,
        kernel: 'latent_memory_backward',
        buffers: [
          ...[...like, carried ? { output: size } : null, saved],
          ...[...inputs, ...parameters, open, positions, draw.normal(tokens)],
          ...[carried ? draw.normal(size) : null, { output: saved.length, scratch: true }],
        ],
        numbers,
      });
    }
  }
  return cases;
}
