/** @file Grouping and padding of rows. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BLOCK_TOKENS, groupRows, paddedBlocks } from './batches.ts';

it('groups hold every row once, in order, and fit in a block unless a row alone does not', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: BLOCK_TOKENS * 2 })), (lengths) => {
      const groups = groupRows(lengths);
      expect(groups.flat()).toEqual([...lengths.keys()]);
      for (const group of groups) {
        const longest = Math.max(...group.map((i) => lengths[i] as number));
        if (group.length > 1) expect(group.length * longest).toBeLessThanOrEqual(BLOCK_TOKENS);
      }
    }),
  );
  expect(groupRows([])).toEqual([]);
  expect(groupRows([BLOCK_TOKENS / 2, 1, BLOCK_TOKENS / 2, 1])).toEqual([
    [0, 1],
    [2, 3],
  ]);
});

it('blocks hold every prompt at the right, from position 0, after padding from position 0', () => {
  const PAD = -1;
  const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(lengths, fc.constantFrom(1, 400), (some, copies) => {
      const all = Array.from({ length: copies }, () => some).flat();
      const prompts = all.map((length, b) => Int32Array.from({ length }, (_, t) => 100 * b + t));
      const blocks = paddedBlocks(prompts, PAD);
      const longest = Math.max(...all);
      expect(blocks.reduce((sum, { T }) => sum + T, 0)).toBe(longest);
      for (const { B, T, tokens, positions } of blocks) {
        expect([B, tokens.length, positions.length]).toEqual([all.length, B * T, B * T]);
        expect(B * T).toBeLessThanOrEqual(BLOCK_TOKENS);
      }
      for (const b of [0, all.length - 1]) {
        const row = (of: 'tokens' | 'positions') =>
          blocks.flatMap((block) => [...block[of].subarray(b * block.T, (b + 1) * block.T)]);
        const padding = longest - (all[b] as number);
        expect(row('tokens')).toEqual([...new Array(padding).fill(PAD), ...(prompts[b] as Int32Array)]);
        const positions = Array.from({ length: longest }, (_, t) => (t < padding ? t : t - padding));
        expect(row('positions')).toEqual(positions);
      }
    }),
    { numRuns: 50 },
  );
});
