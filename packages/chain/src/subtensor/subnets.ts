/** @file What the chain tells of a subnet as a whole: its rules, its clock, what it costs to join. */
import { QuasarError } from '@quasar/base';
import type { Hyperparameters } from '../port.ts';
import type { BlockState } from './state.ts';
import { fractionOf, taoOf } from './units.ts';

const PALLET = 'SubtensorModule';

/** Throws `chain.no_subnet`. */
export async function requireSubnet(state: BlockState, netuid: number): Promise<void> {
  if (await state.get<boolean>(PALLET, 'NetworksAdded', netuid)) return;
  throw new QuasarError('chain.no_subnet', `there is no subnet ${netuid} at block ${state.block}`, {
    hint: 'check the netuid and the network',
  });
}

/** Throws `chain.no_subnet`. */
export async function hyperparameters(state: BlockState, netuid: number): Promise<Hyperparameters> {
  await requireSubnet(state, netuid);
  const of = (entry: string): [string, string, number] => [PALLET, entry, netuid];
  const [tempo, kappa, immunity, minWeights, maxUids, maxValidators, bondsPenalty] = await state.getMany<number[]>(
    ...[
      'Tempo',
      'Kappa',
      'ImmunityPeriod',
      'MinAllowedWeights',
      'MaxAllowedUids',
      'MaxAllowedValidators',
      'BondsPenalty',
    ].map(of),
  );
  const [versionKey, rateLimit, bondsAverage, minBurn, maxBurn] = await state.getMany<bigint[]>(
    ...['WeightsVersionKey', 'WeightsSetRateLimit', 'BondsMovingAverage', 'MinBurn', 'MaxBurn'].map(of),
  );
  const [commitReveal, registrationAllowed] = await state.getMany<boolean[]>(
    ...['CommitRevealWeightsEnabled', 'NetworkRegistrationAllowed'].map(of),
  );
  return {
    tempo: tempo ?? 0,
    kappa: fractionOf(kappa ?? 0),
    immunityPeriodBlocks: immunity ?? 0,
    minAllowedWeights: minWeights ?? 0,
    maxAllowedUids: maxUids ?? 0,
    maxValidators: maxValidators ?? 0,
    activityCutoffBlocks: await activityCutoff(state, netuid, tempo ?? 0),
    weightsVersionKey: Number(versionKey),
    weightsRateLimitBlocks: Number(rateLimit),
    commitRevealEnabled: commitReveal ?? false,
    revealPeriodEpochs: Number(await state.getIfKnown(1n, PALLET, 'RevealPeriodEpochs', netuid)),
    bondsMovingAverage: Number(bondsAverage) / 1e6,
    bondsPenalty: fractionOf(bondsPenalty ?? 0),
    yumaVersion: (await state.getIfKnown(false, PALLET, 'Yuma3On', netuid)) ? 3 : 2,
    registrationAllowed: registrationAllowed ?? false,
    minBurn: taoOf(minBurn ?? 0n),
    maxBurn: taoOf(maxBurn ?? 0n),
  };
}

/** Blocks; since spec 425 a factor of the tempo, in thousandths. */
async function activityCutoff(state: BlockState, netuid: number, tempo: number): Promise<number> {
  if (!state.runtime.hasStorage(PALLET, 'ActivityCutoffFactorMilli')) {
    return state.get<number>(PALLET, 'ActivityCutoff', netuid);
  }
  const factor = await state.get<number>(PALLET, 'ActivityCutoffFactorMilli', netuid);
  return Math.max(1, Math.floor((factor * tempo) / 1000));
}

/** How this runtime counts epochs: as they happen, or by division of the block number. */
export interface EpochClock {
  tempo: number;
  revealPeriodEpochs: number;
  /** The first block after the state's that runs an epoch. */
  nextEpochBlock: number;
  counted: boolean;
}

/** Throws `chain.no_subnet`, and `chain.no_epochs` for a subnet with tempo 0. */
export async function epochClock(state: BlockState, netuid: number): Promise<EpochClock> {
  await requireSubnet(state, netuid);
  const tempo = await state.get<number>(PALLET, 'Tempo', netuid);
  if (tempo === 0) {
    throw new QuasarError('chain.no_epochs', `subnet ${netuid} has tempo 0: it runs no epochs`, {
      hint: 'choose another subnet, or ask its owner to set a tempo',
    });
  }
  const revealPeriodEpochs = Number(await state.getIfKnown(1n, PALLET, 'RevealPeriodEpochs', netuid));
  const api = ['SubnetInfoRuntimeApi', 'get_next_epoch_start_block'] as const;
  if (state.runtime.hasApi(...api)) {
    const next = await state.call<bigint | undefined>(...api, netuid);
    const block = Math.max(Number(next ?? 0n), state.block + 1);
    return { tempo, revealPeriodEpochs, nextEpochBlock: block, counted: true };
  }
  // Block b runs an epoch when (b + netuid + 1) mod (tempo + 1) = tempo.
  const period = tempo + 1;
  const remainder = (state.block + 1 + netuid + 1) % period;
  return { tempo, revealPeriodEpochs, nextEpochBlock: state.block + 1 + (tempo - remainder), counted: false };
}

/** TAO. Throws `chain.no_subnet`. */
export async function registrationCost(state: BlockState, netuid: number): Promise<number> {
  await requireSubnet(state, netuid);
  return taoOf(await state.get<bigint>(PALLET, 'Burn', netuid));
}

/** Free TAO. */
export async function balance(state: BlockState, address: string): Promise<number> {
  const account = await state.get<{ data?: { free?: bigint } } | undefined>('System', 'Account', address);
  return taoOf(account?.data?.free ?? 0n);
}

/** Milliseconds between blocks. Throws `chain.call_missing`. */
export async function blockTimeMs(state: BlockState): Promise<number> {
  const { runtime } = state;
  if (runtime.hasApi('AuraApi', 'slot_duration')) {
    const slot = Number(await state.call<bigint | number>('AuraApi', 'slot_duration'));
    if (slot > 0) return slot;
  }
  const constant = runtime.constant('Aura', 'SlotDuration') ?? runtime.constant('Babe', 'ExpectedBlockTime');
  const minimum = runtime.constant('Timestamp', 'MinimumPeriod');
  const ms = Number(constant ?? Number(minimum ?? 0) * 2);
  if (ms > 0) return ms;
  throw runtime.missing('a block time');
}
