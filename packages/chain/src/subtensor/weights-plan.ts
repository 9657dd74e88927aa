/**
 * @file Which weights a subnet would take now, and in which form: checked before anything is signed.
 *
 * Source of the rules: opentensor/subtensor `subnets/weights.rs`.
 */
import { type Issue, QuasarError } from '@quasar/base';
import type { Weight } from '../port.ts';
import { U16_MAX, upscaleToU16 } from '../weights.ts';
import type { BlockState } from './state.ts';
import { requireSubnet } from './subnets.ts';

const PALLET = 'SubtensorModule';
const MAX_PENDING_COMMITS = 10;

export interface WeightsPlan {
  /** In this form the chain takes them. */
  commitReveal: boolean;
  uid: number;
  uids: number[];
  values: number[];
  versionKey: number;
}

/**
 * Throws `chain.no_subnet`, `chain.not_registered`, `chain.weights_invalid`, `chain.no_permit`, `chain.version_key`,
 * `chain.too_soon` (`data.retryAtBlock`).
 */
export async function planWeights(
  state: BlockState,
  hotkey: string,
  netuid: number,
  weights: readonly Weight[],
  versionKey: number | undefined,
): Promise<WeightsPlan> {
  await requireSubnet(state, netuid);
  const of = (entry: string): [string, string, number] => [PALLET, entry, netuid];
  const [size, minAllowed, chainKey, commitReveal, permits, lastUpdates, rateLimit] = await state.getMany<
    [number, number, bigint, boolean, boolean[], bigint[], bigint]
  >(
    of('SubnetworkN'),
    of('MinAllowedWeights'),
    of('WeightsVersionKey'),
    of('CommitRevealWeightsEnabled'),
    of('ValidatorPermit'),
    of('LastUpdate'),
    of('WeightsSetRateLimit'),
  );
  const uid = await state.get<number | undefined>(PALLET, 'Uids', netuid, hotkey);
  if (uid === undefined) throw notRegistered(hotkey, netuid);
  const isSelf = weights.length === 1 && weights[0]?.uid === uid;
  if (!isSelf && !permits[uid]) {
    throw new QuasarError('chain.no_permit', `uid ${uid} of netuid ${netuid} has no validator permit`, {
      hint: 'add stake: permits go to the top validators by stake at the next epoch',
    });
  }
  requireKnownUids(weights, size);
  const { uids, values } = isSelf
    ? { uids: [uid], values: [U16_MAX] }
    : padded(weights, Math.min(minAllowed, size), size);
  const key = versionKey ?? Number(chainKey);
  if (key < Number(chainKey)) {
    throw new QuasarError(
      'chain.version_key',
      `netuid ${netuid} takes weights of version ${chainKey} or newer, not ${key}`,
      {
        hint: 'update Quasar, or leave the version key out to use the one the subnet asks for',
        data: { required: Number(chainKey) },
      },
    );
  }
  await requireLimit(state, netuid, hotkey, isSelf);
  const last = Number(lastUpdates[uid] ?? 0n);
  const retryAtBlock = last + Number(rateLimit);
  // The extrinsic can be in the next block at the earliest.
  if (last > 0 && state.block + 1 < retryAtBlock) {
    throw new QuasarError(
      'chain.too_soon',
      `weights of uid ${uid} were set at block ${last}; the next are taken from block ${retryAtBlock}`,
      {
        hint: `wait ${retryAtBlock - state.block - 1} blocks`,
        retry: 'later',
        data: { retryAtBlock },
      },
    );
  }
  return { commitReveal, uid, uids, values, versionKey: key };
}

/** The chain refuses a single weight above its limit, where it has one. */
async function requireLimit(state: BlockState, netuid: number, hotkey: string, isSelf: boolean): Promise<void> {
  const limit = await state.getIfKnown(U16_MAX, PALLET, 'MaxWeightsLimit', netuid);
  if (isSelf || limit >= U16_MAX) return;
  throw new QuasarError('chain.weights_invalid', `netuid ${netuid} caps single weights at ${limit} of ${U16_MAX}`, {
    hint: `the largest weight of ${hotkey} always is ${U16_MAX} of ${U16_MAX}: no row can pass; ask the owner of the subnet`,
  });
}

function requireKnownUids(weights: readonly Weight[], size: number): void {
  const code = 'chain.weights_invalid';
  const issues = weights.flatMap(({ uid }, i): Issue[] =>
    uid < size
      ? []
      : [{ code, path: `params/weights/${i}/uid`, message: `uid ${uid} does not exist; there are ${size}` }],
  );
  if (issues.length === 0) return;
  throw new QuasarError(code, issues.map(({ message }) => message).join('; '), {
    hint: 'read the metagraph again before setting weights',
    data: { issues },
  });
}

/** Scaled so that the largest is 65535, and as many as the subnet demands: with weight zero for the lowest other uids. */
function padded(weights: readonly Weight[], least: number, size: number): { uids: number[]; values: number[] } {
  const values = upscaleToU16(weights.map(({ weight }) => weight));
  const row = weights.map(({ uid }, i) => ({ uid, value: values[i] as number }));
  const named = new Set(weights.map(({ uid }) => uid));
  for (let uid = 0; uid < size && row.length < least; uid++) if (!named.has(uid)) row.push({ uid, value: 0 });
  row.sort((a, b) => a.uid - b.uid);
  return { uids: row.map(({ uid }) => uid), values: row.map(({ value }) => value) };
}

/** Throws `chain.too_many_commits`. @param waiting commits of the hotkey that are not revealed yet */
export function requireFreeCommit(waiting: number): void {
  if (waiting < MAX_PENDING_COMMITS) return;
  throw new QuasarError('chain.too_many_commits', `${waiting} commits of this hotkey wait for their reveal`, {
    hint: 'wait for the next epoch; commits by hash must be revealed, see `revealWeights`',
    retry: 'later',
  });
}

export function notRegistered(hotkey: string, netuid: number): QuasarError {
  return new QuasarError('chain.not_registered', `hotkey ${hotkey} is not registered on netuid ${netuid}`, {
    hint: 'register it first',
  });
}
