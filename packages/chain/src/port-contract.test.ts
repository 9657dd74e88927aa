/** @file The dev chain keeps the port, in process and served, as the real runtime does (conformance/). */
import { connectChain } from './dev/client.ts';
import { DevChain } from './dev/dev-chain.ts';
import { serveChain } from './dev/server.ts';
import type { Chain } from './port.ts';
import { describePortContract } from './testing/port-contract.ts';
import { walletFromSeed } from './wallet/index.ts';

const OPTIONS = { path: ':memory:', blockTimeMs: 0, weightsRateLimitBlocks: 0, tempo: 10 };
const FEATURES = { hiddenWeights: ['hash', 'timelocked'] } as const;

function subject(chain: Chain, dev: DevChain, close: () => Promise<void>) {
  let made = 0;
  return {
    chain,
    netuid: 24,
    wallets: async (count: number) =>
      Array.from({ length: count }, () => walletFromSeed(new Uint8Array(32).fill(++made))),
    advance: (blocks: number) => dev.advance(blocks),
    revealCommitments: () => dev.advance(4),
    hideWeights: async (commitReveal: 'hash' | 'timelocked') => dev.configure({ commitReveal }),
    close,
  };
}

describePortContract(
  'DevChain in process',
  async () => {
    const chain = DevChain.open(OPTIONS);
    return subject(chain, chain, async () => chain.close());
  },
  FEATURES,
);

describePortContract(
  'DevChain over WebSocket',
  async () => {
    const dev = DevChain.open(OPTIONS);
    const server = await serveChain(dev, { port: 0 });
    const chain = connectChain(server.url);
    return subject(chain, dev, async () => {
      await chain.close();
      await server.close();
      dev.close();
    });
  },
  FEATURES,
);
