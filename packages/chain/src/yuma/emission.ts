/**
 * @file How the alpha of a subnet is split: per block between owner, miners and validators, per epoch between neurons.
 *
 * Source: `run_coinbase` and `get_block_emission_for_issuance` of the subtensor pallet (spec 425), 32 fraction bits and
 * truncation as there. Amounts are rao. Not here: the share of root stake, pools and prices, child keys.
 */
import { U16_MAX } from './fixed.ts';

const MAX_ISSUANCE = 21_000_000_000_000_000n;
const FIRST_BLOCK_EMISSION = 1_000_000_000n;
const ONE = 1n << 32n;

/** Alpha minted per block when `issuance` exists: 1 alpha, halved each time half of the rest of 21 million is out. */
export function blockEmission(issuance: bigint): bigint {
  if (issuance >= MAX_ISSUANCE) return 0n;
  const left = ONE - (issuance << 32n) / MAX_ISSUANCE;
  const halvings = (ONE * ONE) / left;
  // floor(log2(1 / left)): the position of the highest bit, less the fraction bits.
  return FIRST_BLOCK_EMISSION >> BigInt(halvings.toString(2).length - 33);
}

export interface BlockSplit {
  owner: bigint;
  miners: bigint;
  validators: bigint;
}

/** @param ownerCut u16 share that the owner gets first (11796 on the network); the rest goes half and half */
export function splitBlockEmission(alpha: bigint, ownerCut: number): BlockSplit {
  const owner = alpha * ((BigInt(ownerCut) << 32n) / BigInt(U16_MAX));
  const rest = (alpha << 32n) - owner;
  const miners = rest >> 1n;
  return { owner: owner >> 32n, miners: miners >> 32n, validators: (rest - miners) >> 32n };
}

export interface EpochPayout {
  /** Per uid. The incentive of the owner's neurons is not paid but burned. */
  incentives: bigint[];
  burned: bigint;
  /** Per uid, what the validator keeps for its service and what its stakers share. */
  takes: bigint[];
  dividends: bigint[];
}

/**
 * Pays what has gathered since the last epoch. The epoch must have shared `miners + validators`.
 *
 * Miners get their part of that; validators share the validators' half by their validating part, and all of it when no
 * miner earned anything.
 *
 * @param takes u16 share per uid that a validator keeps of its dividends
 * @param ownerUids neurons of the subnet's owner
 */
export function payEpoch(
  pending: { miners: bigint; validators: bigint },
  shared: { minerEmission: readonly bigint[]; validatorEmission: readonly bigint[] },
  takes: readonly number[],
  ownerUids: ReadonlySet<number>,
): EpochPayout {
  const earned = total(shared.minerEmission);
  const forValidators = earned === 0n ? pending.miners + pending.validators : pending.validators;
  const weight = total(shared.validatorEmission);
  const payout: EpochPayout = { incentives: [], burned: 0n, takes: [], dividends: [] };
  shared.minerEmission.forEach((incentive, uid) => {
    if (ownerUids.has(uid)) payout.burned += incentive;
    payout.incentives.push(ownerUids.has(uid) ? 0n : incentive);
    const share = weight === 0n ? 0n : ((shared.validatorEmission[uid] as bigint) << 32n) / weight;
    const dividends = forValidators * share;
    const take = (dividends * ((BigInt(takes[uid] ?? 0) << 32n) / BigInt(U16_MAX))) >> 32n;
    payout.takes.push(take >> 32n);
    payout.dividends.push((dividends - take) >> 32n);
  });
  return payout;
}

function total(amounts: readonly bigint[]): bigint {
  return amounts.reduce((sum, amount) => sum + amount, 0n);
}
