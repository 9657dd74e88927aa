/** @file The dev chain keeps the port, as the real runtime does (conformance/). */
import { DevChain } from './dev/dev-chain.ts';
import { describePortContract } from './testing/port-contract.ts';
import { walletFromSeed } from './wallet/index.ts';

describePortContract('DevChain in process', async () => {
  const chain = DevChain.open({ path: ':memory:', blockTimeMs: 0, weightsRateLimitBlocks: 0, tempo: 10 });
  let made = 0;
  return {
    chain,
    netuid: 24,
    wallets: async (count) => Array.from({ length: count }, () => walletFromSeed(new Uint8Array(32).fill(++made))),
    advance: (blocks) => chain.advance(blocks),
    revealCommitments: () => chain.advance(4),
    close: async () => chain.close(),
  };
});
