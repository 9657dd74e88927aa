/**
 * @file The chain port: what the contest needs from a chain, and nothing else.
 *
 * Implemented by the embedded `DevChain`, by its client, and by the subtensor adapter; one suite (`testing/contract.ts`)
 * holds them to the same behaviour. Every failure is a `QuasarError` with a `chain.*` code (docs/errors.md).
 * Amounts are TAO or alpha as plain numbers, never rao. Blocks are numbers; `atBlock` reads the state that block left.
 * Writes resolve when their block is final, never earlier, and take effect at most once.
 */

export interface ChainIdentity {
  /** `dev`, `finney`, `test`, `local`, or the name in the chain's specification. */
  network: string;
  /** Hash of block 0, `0x` + 64 hex digits: two chains with the same one are the same chain. */
  genesis: string;
  specName: string;
  specVersion: number;
}

/** A produced block. `hash` is `0x` + 64 hex digits and cannot be predicted before the block exists. */
export interface Head {
  number: number;
  hash: string;
}

export interface Neuron {
  /** Dense per netuid; given to another hotkey when its neuron is pruned. */
  uid: number;
  /** ss58 address, prefix 42. */
  hotkey: string;
  /** ss58 address of the account that owns the hotkey. */
  coldkey: string;
  stake: number;
  /** Updated its weights, or registered, within the activity cutoff, as the last epoch saw it. */
  active: boolean;
  /** May set weights and counts in consensus. */
  validatorPermit: boolean;
  /** Block of the last accepted weights, or of the registration when there were none. */
  lastUpdateBlock: number;
  registeredAtBlock: number;
  /** The next four are in [0, 1], as the last epoch left them. Incentive and dividends each sum to 1 over the netuid, or to 0. */
  incentive: number;
  dividends: number;
  consensus: number;
  validatorTrust: number;
  /** Alpha the last epoch paid. */
  emission: number;
}

/** Neurons by uid, as block `atBlock` left them. A netuid nobody registered on is an empty list. */
export interface Metagraph {
  netuid: number;
  atBlock: number;
  neurons: Neuron[];
}

/** Rules of one subnet. Blocks, TAO, fractions in [0, 1]. */
export interface Hyperparameters {
  /** Blocks from epoch to epoch; subtensor before spec 425 adds one. */
  tempo: number;
  /** Fraction of stake that must agree. */
  kappa: number;
  immunityPeriodBlocks: number;
  minAllowedWeights: number;
  maxAllowedUids: number;
  maxValidators: number;
  activityCutoffBlocks: number;
  weightsVersionKey: number;
  weightsRateLimitBlocks: number;
  /** Plain weights are refused; they are committed first. */
  commitRevealEnabled: boolean;
  revealPeriodEpochs: number;
  /** Share of the old bonds that an epoch keeps. */
  bondsMovingAverage: number;
  bondsPenalty: number;
  yumaVersion: 2 | 3;
  registrationAllowed: boolean;
  minBurn: number;
  maxBurn: number;
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

/** Weights that are on the chain and not yet readable. */
export interface PendingWeights {
  hotkey: string;
  kind: 'hash' | 'timelocked';
  committedAtBlock: number;
  expectedRevealBlock: number;
}

/** What became of `setWeights`: they count now, may be revealed by their validator, or will be revealed by the chain. */
export type WeightsReceipt =
  | { kind: 'plain'; setAtBlock: number }
  | { kind: 'hash'; committedAtBlock: number; revealFromBlock: number; revealUntilBlock: number }
  | { kind: 'timelocked'; committedAtBlock: number; revealRound: number; expectedRevealBlock: number };

export interface CommitReceipt {
  committedAtBlock: number;
  /** The chain reveals in this block, or as soon after as its beacon allows. */
  expectedRevealBlock: number;
}

/** Whoever can sign for an address. */
export interface Signer {
  /** ss58, prefix 42. */
  readonly address: string;
  /** 64-byte sr25519 signature, signing context `substrate`. */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** An sr25519 hotkey. The secret cannot be read from it. `address` equals `hotkey`. */
export interface Wallet extends Signer {
  readonly hotkey: string;
}

/** A write, for `preview`. `hotkey` where the signer is a coldkey; default: the signer itself. */
export type Call =
  | { method: 'register'; params: { netuid: number; hotkey?: string | undefined; maxCost?: number | undefined } }
  | { method: 'addStake'; params: { netuid: number; hotkey?: string | undefined; amount: number } }
  | { method: 'commit'; params: { netuid: number; data: string; blocksUntilReveal?: number | undefined } }
  | { method: 'setWeights'; params: { netuid: number; weights: Weight[]; versionKey?: number | undefined } };

export interface Preview {
  /** `pallet.call` as this chain names it. */
  call: string;
  arguments: Record<string, unknown>;
  /** The unsigned call, `0x` hex. */
  encoded: string;
  /** TAO; null when the chain cannot tell. */
  fee: number | null;
  /** ss58. */
  signer: string;
}

export interface RegisterOptions {
  /** Pays and owns; without it the hotkey's own account does. */
  coldkey?: Signer | undefined;
  /** TAO. Refuses with `chain.cost_above_limit` instead of paying more. */
  maxCost?: number | undefined;
}

export interface Chain {
  identity(): Promise<ChainIdentity>;
  /** The newest final block. */
  head(): Promise<Head>;
  /** The newest block, which a reorganisation may still replace. */
  bestHead(): Promise<Head>;
  /** Null: not yet produced. */
  blockHash(block: number): Promise<string | null>;
  /** Pace of block production; 0: a block is made when somebody needs one. */
  blockTimeMs(): Promise<number>;
  /** The current head, then every later one without gaps, until aborted, also over reconnects. Ends quietly on abort. */
  heads(signal: AbortSignal): AsyncIterable<Head>;

  /** @param atBlock default: the head */
  metagraph(netuid: number, atBlock?: number): Promise<Metagraph>;
  hyperparameters(netuid: number): Promise<Hyperparameters>;
  /** The first block after the head that runs an epoch of this subnet. */
  nextEpochBlock(netuid: number): Promise<number>;
  /** TAO that a registration burns now. */
  registrationCost(netuid: number): Promise<number>;
  /** Free TAO of an ss58 address. */
  balance(address: string): Promise<number>;
  /** Every reveal with `revealedAtBlock <= atBlock`, oldest first, history included. Nothing is shown before its reveal block exists. */
  commitments(netuid: number, atBlock: number): Promise<Commitment[]>;
  /** The newest row per validator with `setAtBlock <= atBlock`, by validator uid. */
  weights(netuid: number, atBlock: number): Promise<WeightRow[]>;
  pendingWeights(netuid: number): Promise<PendingWeights[]>;

  /** Free of charge and without effect for a hotkey that is registered already. */
  register(wallet: Wallet, netuid: number, options?: RegisterOptions): Promise<{ uid: number }>;
  /** Moves `amount` > 0 from the balance of the coldkey (default: of the hotkey itself) to the stake of a registered hotkey. */
  addStake(wallet: Wallet, netuid: number, amount: number, options?: { coldkey?: Signer | undefined }): Promise<void>;
  /** `data`: UTF-8 text, opaque to the chain. With a delay nobody can read it before its reveal. */
  commit(
    wallet: Wallet,
    netuid: number,
    data: string,
    options?: { blocksUntilReveal?: number | undefined },
  ): Promise<CommitReceipt>;
  /**
   * Weights are max-upscaled and rounded to u16. Plain, by hash, or timelocked, as the chain demands.
   * @param options `versionKey` default: what the chain asks for
   */
  setWeights(
    wallet: Wallet,
    netuid: number,
    weights: Weight[],
    options?: { versionKey?: number | undefined },
  ): Promise<WeightsReceipt>;
  /** Reveals the weights of this hotkey that were committed by hash and are due. 0 where the chain reveals by itself. */
  revealWeights(wallet: Wallet, netuid: number): Promise<{ revealed: number }>;
  /** Dry run: checks the call as the chain would now, encodes it, signs and sends nothing. @param address who would sign */
  preview(address: string, call: Call): Promise<Preview>;
  close(): Promise<void> | void;
}
