/** @file Floor 1: the chain port, the embedded dev chain, its HTTP server and client, and hotkeys. */
export { COMMITMENT_MAX_BYTES } from './call.ts';
export { connectChain } from './client.ts';
export { DevChain } from './dev-chain.ts';
export type { DevChainOptions } from './options.ts';
export type { Chain, Commitment, Head, Metagraph, Neuron, Wallet, Weight, WeightRow } from './port.ts';
export { type ChainServer, serveChain } from './server.ts';
export { SS58_PREFIX, ss58Decode, ss58Encode } from './ss58.ts';
export { openWallet, verifySignature, walletFromSeed } from './wallet.ts';
export { type EpochInput, type EpochOutput, runEpoch } from './yuma/index.ts';
