/**
 * @file The chain port: what the contest needs from a chain, and nothing else.
 *
 * Implemented by the embedded `DevChain` and by the HTTP client of `connectChain`; one suite (`testing/contract.ts`) holds
 * both to the same behaviour. Every failure is a `QuasarError` with a `chain.*` code (docs/errors.md).
 * Writes resolve when their block is durable, never earlier.
 */

/** A produced block. `hash` is `0x` + 64 hex digits and cannot be predicted before the block exists. */
export interface Head {
  number: number;
  hash: string;
}

export interface Neuron {
  /** Dense per netuid, in order of registration, never reused. */
  uid: number;
  /** ss58 address, prefix 42. */
  hotkey: string;
  stake: number;
  /** Among the top validators by stake, with stake above zero. */
  validatorPermit: boolean;
  /** Block of the last `setWeights`, or of the registration when there was none. */
  lastUpdateBlock: number;
  registeredAtBlock: number;
  /** Share of the miner emission, in [0, 1]; sums to 1 over the netuid, or is 0 everywhere without weights. */
  incentive: number;
}

/** Neurons by uid, as of block `atBlock`. A netuid nobody registered on is an empty list. */
export interface Metagraph {
  netuid: number;
  atBlock: number;
  neurons: Neuron[];
}

export interface Commitment {
  uid: number;
  hotkey: string;
  /** Block at which the chain revealed it: the only order that counts. Unique per hotkey and netuid. */
  revealedAtBlock: number;
  /** The payload text as committed. */
  data: string;
}

export interface Weight {
  uid: number;
  /** When read: fraction of the row, which sums to 1. When set: any finite number >= 0, only ratios count. */
  weight: number;
}

export interface WeightRow {
  validatorUid: number;
  hotkey: string;
  setAtBlock: number;
  weights: Weight[];
}

/** An sr25519 key pair. The secret cannot be read from it. */
export interface Wallet {
  readonly hotkey: string;
  /** 64-byte sr25519 signature, signing context `substrate`. */
  sign(message: Uint8Array): Uint8Array;
}

export interface Chain {
  head(): Promise<Head>;
  /** Null: not yet produced. */
  blockHash(block: number): Promise<string | null>;
  /** Pace of block production; 0: a block is made when somebody needs one. */
  blockTimeMs(): Promise<number>;
  metagraph(netuid: number): Promise<Metagraph>;
  /** Every reveal with `revealedAtBlock <= atBlock`, oldest first, history included. Nothing is shown before its reveal block exists. */
  commitments(netuid: number, atBlock: number): Promise<Commitment[]>;
  /** The newest row per validator with `setAtBlock <= atBlock`, by validator uid. */
  weights(netuid: number, atBlock: number): Promise<WeightRow[]>;
  /** Idempotent for a registered hotkey. */
  register(wallet: Wallet, netuid: number): Promise<{ uid: number }>;
  /** Adds `amount` > 0 to the stake of a registered hotkey. */
  addStake(wallet: Wallet, netuid: number, amount: number): Promise<void>;
  /** `data`: 1 to 1024 bytes of UTF-8, opaque to the chain. */
  commit(wallet: Wallet, netuid: number, data: string): Promise<{ revealedAtBlock: number }>;
  /** Weights are max-upscaled and rounded to u16, as on subtensor. */
  setWeights(wallet: Wallet, netuid: number, weights: Weight[]): Promise<{ setAtBlock: number }>;
  /** The current head, then every later one without gaps, until aborted. Ends quietly on abort. */
  heads(signal: AbortSignal): AsyncIterable<Head>;
}
