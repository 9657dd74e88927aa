/** @file Rules of the dev chain: commitments. */
import { describe, expect, it } from 'vitest';
import { COMMITMENT_MAX_BYTES } from '../../dev/call.ts';
import type { Commitment } from '../../port.ts';
import { expectCode } from '../expect-code.ts';
import { alice, bob, NETUID, type Open } from './support.ts';

export function describeCommitments(open: Open): void {
  describe('commitments', () => {
    it('reveals after the delay, and shows nothing before the reveal block exists', async () => {
      const { chain, advance } = await open({ blocksUntilReveal: 3 });
      await chain.register(alice, NETUID);
      expect(await chain.commit(alice, NETUID, 'first')).toEqual({ committedAtBlock: 2, expectedRevealBlock: 5 });
      await advance(2);
      expect((await chain.head()).number).toBe(4);
      expect(await chain.commitments(NETUID, 1_000_000)).toEqual([]);
      await advance(1);
      const expected: Commitment = { uid: 0, hotkey: alice.hotkey, revealedAtBlock: 5, data: 'first' };
      expect(await chain.commitments(NETUID, 5)).toEqual([expected]);
      expect(await chain.commitments(NETUID, 4)).toEqual([]);
      expect(await chain.commitments(7, 1_000_000)).toEqual([]);
    });

    it('keeps the whole history, oldest reveal first', async () => {
      const { chain, advance } = await open();
      await chain.register(alice, NETUID);
      await chain.register(bob, NETUID);
      for (const [wallet, data] of [
        [bob, 'b1'],
        [alice, 'a1'],
        [bob, 'b2'],
        [bob, 'b2'],
      ] as const) {
        await chain.commit(wallet, NETUID, data);
      }
      await advance(1);
      const all = await chain.commitments(NETUID, (await chain.head()).number);
      expect(all.map((c) => [c.uid, c.revealedAtBlock, c.data])).toEqual([
        [1, 4, 'b1'],
        [0, 5, 'a1'],
        [1, 6, 'b2'],
        [1, 7, 'b2'],
      ]);
      expect(await chain.commitments(NETUID, 5)).toEqual(all.slice(0, 2));
    });

    it('a newer one replaces one that is not revealed yet, and a hotkey is revealed once per block', async () => {
      const { chain, advance } = await open();
      await chain.register(alice, NETUID);
      await chain.commit(alice, NETUID, 'hidden', { blocksUntilReveal: 5 });
      await chain.commit(alice, NETUID, 'newer', { blocksUntilReveal: 2 });
      await advance(10);
      const seen = async () => (await chain.commitments(NETUID, 100)).map((c) => [c.revealedAtBlock, c.data]);
      expect(await seen()).toEqual([[5, 'newer']]);
      await chain.commit(alice, NETUID, 'locked', { blocksUntilReveal: 1 });
      const due = (await chain.head()).number + 1;
      const early = await expectCode(chain.commit(alice, NETUID, 'open', { blocksUntilReveal: 0 }), 'chain.too_soon');
      expect(early.data).toEqual({ retryAtBlock: due + 1 });
      await advance(1);
      expect(await chain.commit(alice, NETUID, 'open', { blocksUntilReveal: 0 })).toEqual({
        committedAtBlock: due + 1,
        expectedRevealBlock: due + 1,
      });
      expect(await seen()).toEqual([
        [5, 'newer'],
        [due, 'locked'],
        [due + 1, 'open'],
      ]);
    });

    it('takes as much text as a timelocked commitment of subtensor holds', async () => {
      const { chain, advance } = await open();
      await chain.register(alice, NETUID);
      const largest = `${'é'.repeat(COMMITMENT_MAX_BYTES / 2 - 1)}\u0000\n`;
      expect(Buffer.byteLength(largest)).toBe(COMMITMENT_MAX_BYTES);
      await chain.commit(alice, NETUID, largest);
      await expectCode(chain.commit(alice, NETUID, `${largest}a`), 'chain.commitment_too_large');
      await expectCode(chain.commit(alice, NETUID, ''), 'chain.commitment_invalid');
      await expectCode(chain.commit(alice, NETUID, 'half \ud83d'), 'chain.commitment_invalid');
      await advance(1);
      expect((await chain.commitments(NETUID, 100)).map((c) => c.data)).toEqual([largest]);
    });

    it('refuses strangers', async () => {
      const { chain } = await open();
      await expectCode(chain.commit(alice, NETUID, 'x'), 'chain.not_registered');
      expect((await chain.head()).number).toBe(0);
    });

    it('takes 3100 bytes per hotkey and epoch, at least 100 each, and says when there is room again', async () => {
      const { chain, advance } = await open({ blocksUntilReveal: 0, tempo: 50 });
      await chain.register(alice, NETUID);
      await chain.register(bob, NETUID);
      for (let i = 0; i < 31; i++) await chain.commit(alice, NETUID, `n${i}`);
      const error = await expectCode(chain.commit(alice, NETUID, 'too many'), 'chain.space_full');
      expect(error).toMatchObject({ retry: 'later', data: { retryAtBlock: 51 } });
      await chain.commit(bob, NETUID, 'x'.repeat(700));
      await advance(49 - (await chain.head()).number);
      await expectCode(chain.commit(alice, NETUID, 'one block early'), 'chain.space_full');
      await advance(1);
      expect((await chain.commit(alice, NETUID, 'in time')).committedAtBlock).toBe(51);
      for (let i = 0; i < 4; i++) await chain.commit(bob, NETUID, 'x'.repeat(700));
      await expectCode(chain.commit(bob, NETUID, 'x'.repeat(700)), 'chain.space_full');
      await chain.commit(bob, NETUID, 'x'.repeat(300));
    });
  });
}
