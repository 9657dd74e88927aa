/** @file Floor 1: the chain port, the embedded dev chain, its server and client, real subtensor networks, and hotkeys. */
export { type ConnectOptions, connectChain, NETWORKS } from './connect.ts';
export { COMMITMENT_MAX_BYTES } from './dev/call.ts';
export { DevChain } from './dev/dev-chain.ts';
export type { DevChainOptions } from './dev/options.ts';
export { type ChainServer, serveChain } from './dev/server.ts';
export type {
  Call,
  Chain,
  ChainIdentity,
  Commitment,
  CommitReceipt,
  Head,
  Hyperparameters,
  Metagraph,
  Neuron,
  PendingWeights,
  Preview,
  RegisterOptions,
  Signer,
  Wallet,
  Weight,
  WeightRow,
  WeightsReceipt,
} from './port.ts';
export { SS58_PREFIX, ss58Decode, ss58Encode } from './ss58.ts';
export type { EndpointHealth } from './subtensor/endpoints.ts';
export { SubtensorChain, type SubtensorOptions } from './subtensor/subtensor-chain.ts';
export * from './wallet/index.ts';
export { fractions, upscaleToU16 } from './weights.ts';
export { type EpochInput, type EpochOutput, runEpoch } from './yuma/index.ts';
