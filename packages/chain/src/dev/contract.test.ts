/** @file The chain contract, in process and over WebSocket. */

import { describeChainContract } from '../testing/contract.ts';
import { connectChain } from './client.ts';
import { DevChain } from './dev-chain.ts';
import { serveChain } from './server.ts';

describeChainContract('DevChain in process', async (rules) => {
  const chain = DevChain.open({ path: ':memory:', blockTimeMs: 0, ...rules });
  return { chain, advance: (blocks) => chain.advance(blocks), close: async () => chain.close() };
});

describeChainContract('DevChain over WebSocket', async (rules) => {
  const chain = DevChain.open({ path: ':memory:', blockTimeMs: 0, ...rules });
  const server = await serveChain(chain, { port: 0 });
  return {
    chain: connectChain(server.url),
    advance: (blocks) => chain.advance(blocks),
    async close() {
      await server.close();
      chain.close();
    },
  };
});
