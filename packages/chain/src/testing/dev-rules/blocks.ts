/** @file Rules of the dev chain: blocks and heads. */
import { describe, expect, it } from 'vitest';
import type { Head } from '../../port.ts';
import type { Open } from './support.ts';

export function describeBlocks(open: Open): void {
  describe('blocks', () => {
    it('numbers blocks densely and gives each a hash that stays', async () => {
      const { chain, advance } = await open();
      const first = await chain.head();
      await advance(3);
      const last = await chain.head();
      expect(last.number).toBe(first.number + 3);
      expect(await chain.blockHash(first.number)).toBe(first.hash);
      expect(await chain.blockHash(last.number)).toBe(last.hash);
      const hashes = await Promise.all([0, 1, 2, 3].map((n) => chain.blockHash(n)));
      for (const hash of hashes) expect(hash).toMatch(/^0x[0-9a-f]{64}$/);
      expect(new Set(hashes).size).toBe(4);
    });

    it('has no hash for a block that does not exist yet', async () => {
      const { chain, advance } = await open();
      expect(await chain.blockHash(1)).toBeNull();
      await advance(1);
      expect(await chain.blockHash(1)).not.toBeNull();
    });

    it('tells its pace', async () => {
      const { chain } = await open();
      expect(await chain.blockTimeMs()).toBe(0);
    });

    it('follows heads from the current one without gaps until aborted', async () => {
      const { chain, advance } = await open();
      await advance(2);
      const abort = new AbortController();
      const seen: Head[] = [];
      for await (const head of chain.heads(abort.signal)) {
        seen.push(head);
        if (head.number === 2) await advance(3);
        if (head.number === 5) void advance(1);
        if (head.number === 6) abort.abort();
      }
      expect(seen.map((h) => h.number)).toEqual([2, 3, 4, 5, 6]);
      for (const head of seen) expect(await chain.blockHash(head.number)).toBe(head.hash);
    });

    it('ends heads quietly when aborted before or while waiting', async () => {
      const { chain } = await open();
      for await (const _ of chain.heads(AbortSignal.abort())) expect.unreachable();
      const abort = new AbortController();
      const seen: number[] = [];
      for await (const head of chain.heads(abort.signal)) {
        seen.push(head.number);
        setTimeout(() => abort.abort(), 20);
      }
      expect(seen).toEqual([0]);
    });
  });
}
