/** @file The adapter on the real runtime keeps the port, as the dev chain does. */
import { describePortContract } from '../packages/chain/src/testing/port-contract.ts';
import { localBeacon, QUICKNET } from '../packages/chain/src/timelock/index.ts';
import { Harness } from './support/harness.ts';
import { revealCommitments } from './support/pulses.ts';

const beacon = localBeacon(new Uint8Array(32).fill(5));

describePortContract('subtensor', async () => {
  const harness = new Harness({ beacon: { ...QUICKNET, publicKey: beacon.publicKey } });
  const { netuid } = await harness.subnet({ Tempo: 10, MaxAllowedValidators: 64 });
  return {
    chain: harness.chain,
    netuid,
    wallets: (count) => harness.wallets(count),
    advance: (blocks) => harness.advance(blocks),
    revealCommitments: () => revealCommitments(harness, beacon, netuid),
    close: async () => harness.close(),
  };
});
