/** @file What the groups of the suite share: wallets, a subnet, and two steps that many of them take. */
import { expect } from 'vitest';
import type { DevChainOptions } from '../../dev/options.ts';
import type { Chain, Wallet, Weight } from '../../port.ts';
import { walletFromSeed } from '../../wallet/index.ts';

export interface ChainUnderTest {
  chain: Chain;
  /** Makes this many blocks. */
  advance(blocks: number): Promise<unknown>;
  close(): Promise<void>;
}

export type DevRules = Partial<Omit<DevChainOptions, 'path' | 'blockTimeMs'>>;

/** Opens a chain that is closed when the test ends. */
export type Open = (rules?: DevRules) => Promise<ChainUnderTest>;

export const NETUID = 24;
export const [alice, bob, carol, dave] = [1, 2, 3, 4].map((n) => walletFromSeed(new Uint8Array(32).fill(n))) as [
  Wallet,
  Wallet,
  Wallet,
  Wallet,
];

/** Makes blocks up to the next epoch. */
export async function epoch(chain: Chain, advance: (blocks: number) => Promise<unknown>): Promise<void> {
  await advance((await chain.nextEpochBlock(NETUID)) - (await chain.head()).number);
}

/** @returns the block of weights that are in the open at once */
export async function setWeights(chain: Chain, wallet: Wallet, netuid: number, weights: Weight[]): Promise<number> {
  const receipt = await chain.setWeights(wallet, netuid, weights);
  if (receipt.kind !== 'plain') return expect.unreachable(`expected plain weights, got ${receipt.kind}`);
  return receipt.setAtBlock;
}
