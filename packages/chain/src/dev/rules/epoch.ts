/**
 * @file An epoch on the ledger: Yuma over what is stored, its results to the neurons, its emission to their stake.
 *
 * Each block mints alpha for a subnet (1, halving as on the network); 18 % go to the owner, or to nobody where there is
 * none, the rest half to miners and half to validators, all paid at the epoch. Simplified: one price for all alpha that gathered since the
 * last epoch, no share of root, no take.
 */

import { U16_MAX } from '../../weights.ts';
import { blockEmission, payEpoch, runEpoch, splitBlockEmission } from '../../yuma/index.ts';
import { stakeThresholdRao } from '../options.ts';
import type { SubnetState, WeightState } from '../state.ts';
import type { RuleContext } from './context.ts';

/** u16 share of the emission that the owner of a subnet gets first. */
const OWNER_CUT = 11_796;
const PER_MILLION = 1_000_000;

export function isEpochBlock({ options }: RuleContext, { schedule }: SubnetState, block: number): boolean {
  return block - schedule.lastEpoch >= options.tempo;
}

export function runSubnetEpoch(context: RuleContext, subnet: SubnetState, block: number): void {
  const { state, options } = context;
  const { neurons, schedule } = subnet;
  const ownerUid = (options.subnetOwner && subnet.uids.get(options.subnetOwner)) ?? null;
  const pending = pendingEmission(subnet, block - schedule.lastEpoch);
  const output = runEpoch({
    ...options,
    stake: effectiveStakes(context, subnet),
    weights: neurons.map((_, uid) => weightPairs(subnet, uid)),
    bonds: neurons.map((_, uid) => subnet.bonds[uid] ?? []),
    permits: neurons.map(({ permit }) => permit),
    lastUpdate: neurons.map(({ lastUpdate }) => lastUpdate),
    registeredAt: neurons.map(({ registeredAt }) => registeredAt),
    pendingCommit: neurons.map(({ hotkey }) => earliestCommit(subnet, hotkey)),
    block,
    lastEpochBlock: schedule.epochIndex === 0 ? 0 : schedule.lastEpoch,
    kappa: u16(options.kappa),
    bondsPenalty: u16(options.bondsPenalty),
    bondsMovingAverage: Math.round(options.bondsMovingAverage * PER_MILLION),
    ownerUid: ownerUid as number | null,
    version: options.yumaVersion,
    emission: pending.miners + pending.validators,
  });
  const owners = new Set(ownerUid === null ? [] : [ownerUid as number]);
  const payout = payEpoch(pending, output, [], owners);
  neurons.forEach((neuron, uid) => {
    neuron.active = output.active[uid] as boolean;
    neuron.permit = output.permits[uid] as boolean;
    neuron.incentive = output.incentive[uid] as number;
    neuron.dividends = output.dividends[uid] as number;
    neuron.consensus = output.consensus[uid] as number;
    neuron.validatorTrust = output.validatorTrust[uid] as number;
    neuron.emission = output.emission[uid] as bigint;
    const paid = (payout.incentives[uid] as bigint) + (payout.dividends[uid] as bigint);
    if (paid > 0n) state.setStake(subnet, neuron.hotkey, subnet.stakeOf(neuron.hotkey) + paid);
    state.touchNeuron(subnet, uid);
  });
  if (options.subnetOwner) {
    state.setStake(subnet, options.subnetOwner, subnet.stakeOf(options.subnetOwner) + pending.owner);
  }
  state.setBonds(subnet, output.bonds);
  schedule.lastEpoch = block;
  schedule.epochIndex++;
  state.touchSchedule(subnet);
}

/** What `blocks` blocks mint, rao. */
function pendingEmission(subnet: SubnetState, blocks: number) {
  let issuance = 0n;
  for (const stake of subnet.stakes.values()) issuance += stake;
  const { owner, miners, validators } = splitBlockEmission(blockEmission(issuance), OWNER_CUT);
  const count = BigInt(blocks);
  return { owner: owner * count, miners: miners * count, validators: validators * count };
}

/** Stake below the threshold counts as none, except the owner's. */
function effectiveStakes({ options }: RuleContext, subnet: SubnetState): bigint[] {
  const threshold = stakeThresholdRao(options);
  return subnet.neurons.map(({ hotkey }) => {
    const stake = subnet.stakeOf(hotkey);
    return stake >= threshold || hotkey === options.subnetOwner ? stake : 0n;
  });
}

/** Commits are kept oldest first. */
function earliestCommit({ weightCommits }: SubnetState, hotkey: string): number | null {
  return weightCommits.find((commit) => commit.hotkey === hotkey)?.committedAt ?? null;
}

/** A row is an object that is replaced, never changed: its pairs are made once. */
const pairsOf = new WeakMap<WeightState, [number, number][]>();

function weightPairs(subnet: SubnetState, uid: number): [number, number][] {
  const row = subnet.weights.get(uid);
  if (!row) return [];
  let pairs = pairsOf.get(row);
  if (!pairs) {
    pairs = row.uids.map((target, i) => [target, row.values[i] as number]);
    pairsOf.set(row, pairs);
  }
  return pairs;
}

function u16(fraction: number): number {
  return Math.floor(fraction * U16_MAX);
}
