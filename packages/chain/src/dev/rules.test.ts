/** @file The rules of the dev chain, in process and over WebSocket. */

import { describeDevRules } from '../testing/dev-rules/index.ts';
import { connectChain } from './client.ts';
import { DevChain } from './dev-chain.ts';
import { serveChain } from './server.ts';

describeDevRules('DevChain in process', async (rules) => {
  const chain = DevChain.open({ path: ':memory:', blockTimeMs: 0, ...rules });
  return { chain, advance: (blocks) => chain.advance(blocks), close: async () => chain.close() };
});

describeDevRules('DevChain over WebSocket', async (rules) => {
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
