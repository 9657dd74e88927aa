/**
 * @file One epoch of Yuma consensus: from stake and weights to consensus, incentive, dividends, bonds and emission.
 *
 * Source: `epoch_mechanism` of the subtensor pallet (spec 425), whose order of operations and truncations it follows, so that
 * u16 results are equal. Not here: liquid alpha, several mechanisms, child keys.
 */
import { moveBonds } from './bonds.ts';
import { fromU16, toU16 } from './fixed.ts';
import {
  clipColumns,
  dense,
  divideBy,
  interpolate,
  normalize,
  normalizeRows,
  rowSums,
  type SparseRow,
  sum,
  type Vector,
  weightedColumnSums,
} from './matrix.ts';
import { consensusOf } from './median.ts';

/** Arrays by uid have one entry per neuron. */
export interface EpochInput {
  /** Any unit, rao or a fixed-point fraction of it: only shares count. Stake below the network's threshold is 0. */
  stake: readonly bigint[];
  /** Stored rows: u16 values. */
  weights: readonly SparseRow[];
  bonds: readonly SparseRow[];
  permits: readonly boolean[];
  /** Block of each neuron's last weights. */
  lastUpdate: readonly number[];
  /** Block in which each uid went to its present hotkey. */
  registeredAt: readonly number[];
  /** With commit-reveal: block of each neuron's earliest live commit, null without one. */
  pendingCommit?: readonly (number | null)[];
  block: number;
  tempo: number;
  /** Block of the last epoch; 0 before the first. */
  lastEpochBlock: number;
  /** u16 share of stake that makes a majority. */
  kappa: number;
  /** u16 share of the clipping that also applies to bonds. */
  bondsPenalty: number;
  /** Share of old bonds that stays each epoch, per million, at most 1,000,000. */
  bondsMovingAverage: number;
  maxValidators: number;
  activityCutoffBlocks: number;
  /** The subnet owner's neuron, always permitted and free to weigh itself; null if it has none. */
  ownerUid: number | null;
  version: 2 | 3;
  /** To share among all neurons, rao. */
  emission: bigint;
}

export interface EpochOutput {
  /** Shares as u16: floor(65535 x). */
  stakeWeight: Uint16Array;
  consensus: Uint16Array;
  validatorTrust: Uint16Array;
  incentive: Uint16Array;
  dividends: Uint16Array;
  /** Rows to store; empty without a new permit. */
  bonds: [uid: number, value: number][][];
  /** For the next epoch. */
  permits: boolean[];
  active: boolean[];
  /** Parts of `emission` in rao, for mining, for validating, and of both together (which the metagraph shows). */
  minerEmission: bigint[];
  validatorEmission: bigint[];
  emission: bigint[];
}

export function runEpoch(input: EpochInput): EpochOutput {
  const { block, lastUpdate, ownerUid, registeredAt } = input;
  const n = input.stake.length;
  const active = lastUpdate.map((updated) => updated + input.activityCutoffBlocks >= block);
  const stake = stakeShares(input.stake);
  const permits = input.permits.map((permit, uid) => permit || uid === ownerUid);
  const activeStake = normalize(stake.map((share, uid) => (active[uid] && permits[uid] ? share : 0)));

  const committed = (uid: number) => input.pendingCommit?.[uid] ?? Infinity;
  // The block at which a validator last knew whom it weighs; nobody hears the others.
  const heard = lastUpdate.map((at, uid) => (permits[uid] ? Math.min(at, committed(uid) + 1) : -Infinity));
  const given = dense(input.weights, registeredAt, heard);
  for (let uid = 0; uid < n; uid++) if (uid !== ownerUid) given[uid * n + uid] = 0;
  const weights = normalizeRows(given, n);

  const consensus = consensusOf(activeStake, weights, fromU16(input.kappa));
  const clipped = clipColumns(weights, consensus);
  const incentive = normalize(weightedColumnSums(clipped, activeStake));

  const epochStart = input.lastEpochBlock === 0 ? Math.max(0, block - input.tempo) : input.lastEpochBlock + 1;
  const { bonds, dividends } = moveBonds({
    version: input.version,
    weights: interpolate(weights, clipped, fromU16(input.bondsPenalty)),
    stake: activeStake,
    incentive,
    stored: input.bonds,
    registeredAt,
    epochStart,
    movingAverage: input.bondsMovingAverage,
  });

  const newPermits = topByStake(stake, input.maxValidators).map((permit, uid) => permit || uid === ownerUid);
  return {
    stakeWeight: u16s(stake),
    consensus: u16s(consensus),
    validatorTrust: u16s(rowSums(clipped, n)),
    incentive: u16s(incentive),
    dividends: u16s(dividends),
    bonds: newPermits.map((permit, i) => (permit ? sparse(bonds.subarray(i * n, (i + 1) * n)) : [])),
    permits: newPermits,
    active,
    ...shareEmission(input.emission, { incentive, dividends, stake, activeStake }),
  };
}

/** stake / sum(stake), truncated to 32 bits; zeros when there is none */
function stakeShares(stake: readonly bigint[]): Vector {
  const total = stake.reduce((all, amount) => all + amount, 0n);
  return Float64Array.from(stake, (amount) => (total === 0n ? 0 : Number((amount << 32n) / total)));
}

/** The `count` largest stakes above 0; among equals the higher uid goes first. */
function topByStake(stake: Vector, count: number): boolean[] {
  const ascending = Array.from(stake.keys()).sort((a, b) => (stake[a] as number) - (stake[b] as number) || a - b);
  const top = new Set(ascending.slice(Math.max(0, stake.length - count)));
  return Array.from(stake, (share, uid) => share > 0 && top.has(uid));
}

function shareEmission(
  emission: bigint,
  shares: { incentive: Vector; dividends: Vector; stake: Vector; activeStake: Vector },
): Pick<EpochOutput, 'minerEmission' | 'validatorEmission' | 'emission'> {
  const { incentive, dividends } = shares;
  const combined = incentive.map((share, uid) => share + (dividends[uid] as number));
  const total = sum(combined);
  // Without any incentive or dividends the emission follows stake.
  const fallback = sum(shares.activeStake) === 0 ? shares.stake : shares.activeStake;
  const rao = (share: Vector) => Array.from(share, (x) => (BigInt(x) * emission) >> 32n);
  return {
    minerEmission: rao(divideBy(incentive.slice(), total)),
    validatorEmission: rao(total === 0 ? fallback : divideBy(dividends.slice(), total)),
    emission: rao(total === 0 ? fallback : divideBy(combined, total)),
  };
}

function u16s(shares: Vector): Uint16Array {
  const values = new Uint16Array(shares.length);
  for (let i = 0; i < shares.length; i++) values[i] = toU16(shares[i] as number);
  return values;
}

function sparse(row: Vector): [uid: number, value: number][] {
  const values = u16s(row);
  const entries: [number, number][] = [];
  for (let j = 0; j < row.length; j++) if (row[j] !== 0) entries.push([j, values[j] as number]);
  return entries;
}
