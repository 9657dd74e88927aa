/** @file Metagraph, weights and commitments, as one block left them. */
import type { Commitment, Metagraph, Neuron, WeightRow } from '../port.ts';
import { decodeTimelockedText } from '../timelock/index.ts';
import { garbled } from './socket.ts';
import type { BlockState } from './state.ts';
import { fractionOf, taoOf } from './units.ts';

const PALLET = 'SubtensorModule';

/** Vectors by uid that every runtime keeps in storage. */
const VECTORS = [
  'Active',
  'ValidatorPermit',
  'LastUpdate',
  'Incentive',
  'Dividends',
  'Consensus',
  'ValidatorTrust',
  'Emission',
];

interface Identities {
  hotkeys: string[];
  coldkeys: string[];
  stakeRao: bigint[];
  registeredAt: (bigint | number)[];
}

/** An unknown netuid has no neurons. */
export async function metagraph(state: BlockState, netuid: number): Promise<Metagraph> {
  const { hotkeys, coldkeys, stakeRao, registeredAt } = await identities(state, netuid);
  const vectors = await state.getMany<unknown[][]>(
    ...VECTORS.map((entry): [string, string, number] => [PALLET, entry, netuid]),
  );
  const [active, permit, lastUpdate, incentive, dividends, consensus, trust, emission] = vectors;
  const fraction = (values: unknown[] | undefined, uid: number) => fractionOf(Number(values?.[uid] ?? 0));
  const neurons = hotkeys.map(
    (hotkey, uid): Neuron => ({
      uid,
      hotkey,
      coldkey: coldkeys[uid] ?? hotkey,
      stake: taoOf(BigInt(stakeRao[uid] ?? 0)),
      active: Boolean(active?.[uid]),
      validatorPermit: Boolean(permit?.[uid]),
      lastUpdateBlock: Number(lastUpdate?.[uid] ?? 0),
      registeredAtBlock: Number(registeredAt[uid] ?? 0),
      incentive: fraction(incentive, uid),
      dividends: fraction(dividends, uid),
      consensus: fraction(consensus, uid),
      validatorTrust: fraction(trust, uid),
      emission: taoOf(BigInt((emission?.[uid] as bigint | undefined) ?? 0)),
    }),
  );
  return { netuid, atBlock: state.block, neurons };
}

/** From the runtime's own view of the subnet, whose stake is what consensus counts; else from storage. */
async function identities(state: BlockState, netuid: number): Promise<Identities> {
  const api = ['SubnetInfoRuntimeApi', 'get_metagraph'] as const;
  if (!state.runtime.hasApi(...api)) return identitiesFromStorage(state, netuid);
  const view = await state.call<Record<string, unknown> | undefined>(...api, netuid);
  return {
    hotkeys: (view?.hotkeys as string[]) ?? [],
    coldkeys: (view?.coldkeys as string[]) ?? [],
    stakeRao: (view?.total_stake as bigint[]) ?? [],
    registeredAt: (view?.block_at_registration as bigint[]) ?? [],
  };
}

/** Stake: alpha on the subnet plus the weighted stake on the root, without what parents and children share. */
async function identitiesFromStorage(state: BlockState, netuid: number): Promise<Identities> {
  const hotkeys = await hotkeysByUid(state, netuid);
  const read = <T extends unknown[]>(entry: string, keys: (hotkey: string, uid: number) => unknown[]) =>
    state.getMany<T>(
      ...hotkeys.map((hotkey, uid): [string, string, ...unknown[]] => [PALLET, entry, ...keys(hotkey, uid)]),
    );
  const coldkeys = await read<string[]>('Owner', (hotkey) => [hotkey]);
  const registeredAt = await read<bigint[]>('BlockAtRegistration', (_, uid) => [netuid, uid]);
  const alpha = await read<bigint[]>('TotalHotkeyAlpha', (hotkey) => [hotkey, netuid]);
  const root = await read<bigint[]>('TotalHotkeyAlpha', (hotkey) => [hotkey, 0]);
  const rootWeight = await state.getIfKnown(0n, PALLET, 'TaoWeight');
  const stakeRao = alpha.map((rao, uid) => rao + ((root[uid] ?? 0n) * rootWeight) / (2n ** 64n - 1n));
  return { hotkeys, coldkeys, stakeRao, registeredAt };
}

async function hotkeysByUid(state: BlockState, netuid: number): Promise<string[]> {
  const entries = await state.entries<string>(PALLET, 'Keys', netuid);
  const hotkeys: string[] = [];
  for (const { keys, value } of entries) {
    const uid = Number(keys[1]);
    if (!(uid < entries.length) || hotkeys[uid] !== undefined) throw garbled(`the hotkeys of netuid ${netuid}`);
    hotkeys[uid] = value;
  }
  return hotkeys;
}

/** Rows that are not empty, by validator uid. */
export async function weightRows(state: BlockState, netuid: number): Promise<WeightRow[]> {
  const rows = await state.entries<[number, number][]>(PALLET, 'Weights', netuid);
  const [lastUpdate] = await state.getMany<[bigint[]]>([PALLET, 'LastUpdate', netuid]);
  const hotkeys = await hotkeysByUid(state, netuid);
  return rows
    .flatMap(({ keys, value }): WeightRow[] => {
      const validatorUid = Number(keys[1]);
      const total = value.reduce((sum, [, weight]) => sum + weight, 0);
      const hotkey = hotkeys[validatorUid];
      if (total === 0 || hotkey === undefined) return [];
      const weights = value
        .filter(([, weight]) => weight > 0)
        .map(([uid, weight]) => ({ uid, weight: weight / total }));
      return [{ validatorUid, hotkey, setAtBlock: Number(lastUpdate[validatorUid] ?? 0n), weights }];
    })
    .sort((a, b) => a.validatorUid - b.validatorUid);
}

/**
 * Revealed commitments (the chain keeps the newest 10 of a hotkey; older ones are gone) and plain ones (the newest only), of
 * hotkeys that are registered at this block, oldest first.
 */
export async function commitments(state: BlockState, netuid: number): Promise<Commitment[]> {
  const uids = new Map((await hotkeysByUid(state, netuid)).map((hotkey, uid) => [hotkey, uid]));
  const found: Commitment[] = [];
  const add = (hotkey: string, block: number, data: string) => {
    const uid = uids.get(hotkey);
    if (uid !== undefined) found.push({ uid, hotkey, revealedAtBlock: block, data });
  };
  const revealed = await state.entries<[Uint8Array, bigint][]>('Commitments', 'RevealedCommitments', netuid);
  for (const { keys, value } of revealed) {
    for (const [bytes, block] of value) add(String(keys[1]), Number(block), revealedText(bytes));
  }
  const plain = await state.entries<{ block: number; info: CommitmentField[] }>('Commitments', 'CommitmentOf', netuid);
  for (const { keys, value } of plain) {
    const data = plainText(value.info);
    if (data !== null) add(String(keys[1]), Number(value.block), data);
  }
  return found.sort((a, b) => a.revealedAtBlock - b.revealedAtBlock || a.uid - b.uid);
}

interface CommitmentField {
  type: string;
  value: unknown;
}

/** The text that was locked; bytes that no such text was are shown as hex. */
function revealedText(bytes: Uint8Array): string {
  try {
    return decodeTimelockedText(bytes);
  } catch {
    return textOrHex(bytes);
  }
}

/** The raw fields of a commitment, joined; null when it has none, or some are still locked. */
function plainText(fields: readonly CommitmentField[]): string | null {
  const raw = fields.filter(({ type }) => /^(Raw\d+|BigRaw)$/.test(type));
  if (raw.length === 0 || fields.some(({ type }) => type === 'TimelockEncrypted')) return null;
  return textOrHex(Buffer.concat(raw.map(({ value }) => bytesOf(value))));
}

/** One byte comes as a number, fixed lengths as hex. */
function bytesOf(value: unknown): Uint8Array {
  if (typeof value === 'number') return Uint8Array.of(value);
  if (typeof value === 'string') return Buffer.from(value.slice(2), 'hex');
  return value instanceof Uint8Array ? value : new Uint8Array();
}

function textOrHex(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : `0x${Buffer.from(bytes).toString('hex')}`;
}
