/** @file The port's writes as calls of the runtime at hand: name, arguments, and what their receipts need to know. */
import { randomBytes } from 'node:crypto';
import { QuasarError } from '@quasar/base';
import { toHex } from '../hex.ts';
import type { Call, Weight } from '../port.ts';
import type { SaltRecord } from '../salts.ts';
import {
  type Beacon,
  CRV3_MARGIN_BLOCKS,
  commitHash,
  encodeTimelockedText,
  encodeWeightsPayload,
  REVEAL_MARGIN_BLOCKS,
  roundForBlock,
  TIMELOCKED_TEXT_MAX_BYTES,
  timelockEncrypt,
} from '../timelock/index.ts';
import { commitmentField } from './commitment-field.ts';
import { pendingWeights, revealWindow } from './pending-weights.ts';
import type { BlockState } from './state.ts';
import { blockTimeMs, epochClock, registrationCost, requireSubnet } from './subnets.ts';
import { raoOf, taoOf } from './units.ts';
import { notRegistered, planWeights, requireFreeCommit } from './weights-plan.ts';

const PALLET = 'SubtensorModule';
/** What this code knows how to encrypt. */
const COMMIT_REVEAL_VERSION = 4;
const SALT_LENGTH = 16;
/** Time for the commitment to be in a final block before anybody can read it. */
const DEFAULT_BLOCKS_UNTIL_REVEAL = 3;

export interface BuiltCall<Memo> {
  pallet: string;
  name: string;
  args: Record<string, unknown>;
  memo: Memo;
}

export interface CallContext {
  beacon: Beacon;
  /** How to commit weights where the subnet wants them committed and the runtime knows both. */
  commitReveal: 'timelocked' | 'hash';
  genesis: string;
}

/** Null: registered already. Throws `chain.no_subnet`, `chain.registration_closed`, `chain.cost_above_limit`, `chain.insufficient_balance`. */
export async function registerCall(
  state: BlockState,
  payer: string,
  { netuid, hotkey = payer, maxCost }: { netuid: number; hotkey?: string | undefined; maxCost?: number | undefined },
): Promise<BuiltCall<null> | null> {
  await requireSubnet(state, netuid);
  if ((await uidOf(state, netuid, hotkey)) !== undefined) return null;
  if (!(await state.get<boolean>(PALLET, 'NetworkRegistrationAllowed', netuid))) {
    throw new QuasarError('chain.registration_closed', `netuid ${netuid} takes no registrations`, {
      hint: 'the owner of the subnet has closed registration',
    });
  }
  const cost = await registrationCost(state, netuid);
  if (maxCost !== undefined && cost > maxCost) {
    throw new QuasarError(
      'chain.cost_above_limit',
      `registration on netuid ${netuid} costs ${cost} TAO, more than ${maxCost}`,
      {
        hint: 'allow more, or wait until the cost falls',
        retry: 'later',
        data: { cost },
      },
    );
  }
  await requireBalance(state, payer, cost, 'registration');
  if (maxCost !== undefined && state.runtime.hasCall(PALLET, 'register_limit')) {
    return {
      pallet: PALLET,
      name: 'register_limit',
      args: { netuid, hotkey, limit_price: raoOf(maxCost) },
      memo: null,
    };
  }
  return { pallet: PALLET, name: 'burned_register', args: { netuid, hotkey }, memo: null };
}

/** Throws `chain.not_registered`, `chain.insufficient_balance`. */
export async function addStakeCall(
  state: BlockState,
  payer: string,
  { netuid, hotkey = payer, amount }: { netuid: number; hotkey?: string | undefined; amount: number },
): Promise<BuiltCall<null>> {
  await requireSubnet(state, netuid);
  if ((await uidOf(state, netuid, hotkey)) === undefined) throw notRegistered(hotkey, netuid);
  await requireBalance(state, payer, amount, 'the stake');
  return { pallet: PALLET, name: 'add_stake', args: { hotkey, netuid, amount_staked: raoOf(amount) }, memo: null };
}

/** `blocksUntilReveal` 0: readable at once. Throws `chain.not_registered`, `chain.commitment_too_large`. */
export async function commitCall(
  state: BlockState,
  hotkey: string,
  {
    netuid,
    data,
    blocksUntilReveal = DEFAULT_BLOCKS_UNTIL_REVEAL,
  }: { netuid: number; data: string; blocksUntilReveal?: number | undefined },
  { beacon }: CallContext,
): Promise<BuiltCall<{ blocksUntilReveal: number }>> {
  await requireSubnet(state, netuid);
  if ((await uidOf(state, netuid, hotkey)) === undefined) throw notRegistered(hotkey, netuid);
  const set = (field: unknown) => ({
    pallet: 'Commitments',
    name: 'set_commitment',
    args: { netuid, info: [field] },
    memo: { blocksUntilReveal },
  });
  if (blocksUntilReveal === 0) return set(commitmentField(data));
  const sizeBytes = Buffer.byteLength(data);
  if (sizeBytes > TIMELOCKED_TEXT_MAX_BYTES) {
    throw new QuasarError(
      'chain.commitment_too_large',
      `${sizeBytes} bytes, at most ${TIMELOCKED_TEXT_MAX_BYTES} fit encrypted`,
      {
        hint: 'commit a pointer, not the thing itself',
      },
    );
  }
  const round = roundForBlock(state.block + blocksUntilReveal, await clockOf(state), beacon);
  const encrypted = timelockEncrypt(encodeTimelockedText(data), round, { publicKey: beacon.publicKey });
  return set({ type: 'TimelockEncrypted', value: { encrypted, reveal_round: BigInt(round) } });
}

export type WeightsMemo =
  | { kind: 'plain' }
  | { kind: 'hash'; record: SaltRecord }
  | { kind: 'timelocked'; revealRound: number; form: 'timelocked' | 'crv3' };

/** Throws what `planWeights` throws, `chain.too_many_commits`, `chain.call_missing`. */
export async function setWeightsCall(
  state: BlockState,
  hotkey: string,
  { netuid, weights, versionKey }: { netuid: number; weights: readonly Weight[]; versionKey?: number | undefined },
  context: CallContext,
): Promise<BuiltCall<WeightsMemo>> {
  const { runtime } = state;
  const plan = await planWeights(state, hotkey, netuid, weights, versionKey);
  if (!plan.commitReveal) {
    const args = { netuid, dests: plan.uids, weights: plan.values, version_key: BigInt(plan.versionKey) };
    return { pallet: PALLET, name: 'set_weights', args, memo: { kind: 'plain' } };
  }
  const waiting = (await pendingWeights(state, netuid)).filter((pending) => pending.hotkey === hotkey);
  const name = ['commit_timelocked_weights', 'commit_crv3_weights'].find((call) => runtime.hasCall(PALLET, call));
  if (context.commitReveal === 'hash' || name === undefined) {
    requireFreeCommit(waiting.filter(({ kind }) => kind === 'hash').length);
    const salt = [...new Uint16Array(randomBytes(2 * SALT_LENGTH).buffer.slice(0, 2 * SALT_LENGTH))];
    const { uids, values } = plan;
    const hash = toHex(commitHash({ hotkey, netuidIndex: netuid, uids, values, salt, versionKey: plan.versionKey }));
    const record = { genesis: context.genesis, hotkey, netuid, hash, uids, values, salt, versionKey: plan.versionKey };
    return {
      pallet: PALLET,
      name: 'commit_weights',
      args: { netuid, commit_hash: hash },
      memo: { kind: 'hash', record },
    };
  }
  requireFreeCommit(waiting.filter(({ kind }) => kind === 'timelocked').length);
  await requireKnownVersion(state);
  const form = name === 'commit_crv3_weights' ? 'crv3' : 'timelocked';
  const clock = await epochClock(state, netuid);
  // In the next block at the earliest.
  const opens =
    revealWindow(state.block + 1, form, netuid, clock).first +
    (form === 'crv3' ? CRV3_MARGIN_BLOCKS : REVEAL_MARGIN_BLOCKS);
  const revealRound = roundForBlock(Math.max(opens, state.block + 1), await clockOf(state), context.beacon);
  const payload = encodeWeightsPayload({ ...plan, hotkey: form === 'crv3' ? null : hotkey });
  const commit = timelockEncrypt(payload, revealRound, { publicKey: context.beacon.publicKey });
  const args = { netuid, commit, reveal_round: BigInt(revealRound), commit_reveal_version: COMMIT_REVEAL_VERSION };
  return { pallet: PALLET, name, args, memo: { kind: 'timelocked', revealRound, form } };
}

export function revealCall(record: SaltRecord): BuiltCall<null> {
  const { netuid, uids, values, salt, versionKey } = record;
  const args = { netuid, uids, values, salt, version_key: BigInt(versionKey) };
  return { pallet: PALLET, name: 'reveal_weights', args, memo: null };
}

/** The call that a preview shows; null: nothing to do. */
export function callOf(
  state: BlockState,
  address: string,
  call: Call,
  context: CallContext,
): Promise<BuiltCall<unknown> | null> {
  switch (call.method) {
    case 'register':
      return registerCall(state, address, call.params);
    case 'addStake':
      return addStakeCall(state, address, call.params);
    case 'commit':
      return commitCall(state, address, call.params, context);
    case 'setWeights':
      return setWeightsCall(state, address, call.params, context);
  }
}

export function uidOf(state: BlockState, netuid: number, hotkey: string): Promise<number | undefined> {
  return state.get<number | undefined>(PALLET, 'Uids', netuid, hotkey);
}

async function requireBalance(state: BlockState, payer: string, amount: number, what: string): Promise<void> {
  const account = await state.get<{ data?: { free?: bigint } } | undefined>('System', 'Account', payer);
  const free = taoOf(account?.data?.free ?? 0n);
  if (free >= amount) return;
  throw new QuasarError('chain.insufficient_balance', `${payer} has ${free} TAO; ${what} takes ${amount}`, {
    hint: 'send TAO to the account that pays, or name another coldkey',
    data: { free, amount },
  });
}

async function requireKnownVersion(state: BlockState): Promise<void> {
  const version = await state.getIfKnown(COMMIT_REVEAL_VERSION, PALLET, 'CommitRevealWeightsVersion');
  if (version !== COMMIT_REVEAL_VERSION)
    throw state.runtime.missing(`commit-reveal of version ${COMMIT_REVEAL_VERSION} (it has ${version})`);
}

/** Time by the chain's own clock: a wrong clock here must not open anything early. */
async function clockOf(state: BlockState): Promise<{ headBlock: number; headTimeMs: number; blockTimeMs: number }> {
  const headTimeMs = Number(await state.get<bigint>('Timestamp', 'Now'));
  return { headBlock: state.block, headTimeMs, blockTimeMs: await blockTimeMs(state) };
}
