/** @file Rules of the dev chain: what is refused whatever the state. */
import { describe, expect, it } from 'vitest';
import type { Wallet } from '../../port.ts';
import { expectCode } from '../expect-code.ts';
import { alice, bob, NETUID, type Open } from './support.ts';

export function describeRefusals(open: Open): void {
  describe('refusals', () => {
    it('refuses parameters of the wrong shape', async () => {
      const { chain } = await open();
      for (const bad of [-1, 1.5, Number.NaN, 65536]) {
        await expectCode(chain.metagraph(bad), 'chain.invalid_call');
        await expectCode(chain.register(alice, bad), 'chain.invalid_call');
      }
      await expectCode(chain.blockHash(-1), 'chain.invalid_call');
      await expectCode(chain.commitments(NETUID, 0.5), 'chain.invalid_call');
      await expectCode(chain.weights(NETUID, Number.NaN), 'chain.invalid_call');
    });

    it('refuses a signature by another key', async () => {
      const { chain } = await open();
      const forger: Wallet = {
        hotkey: bob.hotkey,
        address: bob.hotkey,
        sign: (message: Uint8Array) => alice.sign(message),
      };
      await expectCode(chain.register(forger, NETUID), 'chain.bad_signature');
      expect((await chain.metagraph(NETUID)).neurons).toEqual([]);
    });
  });
}
