/** @file Gate: a token changes nothing before it and nothing in other rows, bit for bit. */
import { expect, it } from 'vitest';
import type { GateCase } from '../gates.ts';
import { logitsOf, maxDifference, randomTokens } from '../tiny.ts';

export function causalityGates({ config, makeParameters, device, length: T }: GateCase): void {
  it('a token never changes what came before it, bit for bit', async () => {
    const parameters = await makeParameters(device, config);
    const [B, V] = [2, config.vocab_size];
    const tokens = randomTokens(B * T, V, 'causality');
    const before = await logitsOf(config, parameters, { tokens, B, T });
    for (const t of [0, 1, 63, 64, 100, T - 1].filter((t) => t < T)) {
      const changed = tokens.slice();
      for (let i = t; i < T; i++) changed[i] = ((changed[i] as number) + 1 + (i % (V - 1))) % V;
      const after = await logitsOf(config, parameters, { tokens: changed, B, T });
      const difference = (from: number, to: number) =>
        maxDifference(after.subarray(from * V, to * V), before.subarray(from * V, to * V));
      expect(difference(0, t), `row 0 before token ${t}`).toBe(0);
      expect(difference(T, 2 * T), `row 1 when token ${t} of row 0 changes`).toBe(0);
      expect(difference(t, t + 1), `token ${t}`).toBeGreaterThan(0);
    }
  });
}
