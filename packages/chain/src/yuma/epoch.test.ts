/** @file One epoch and several: the recorded one of a real runtime, and what validators and coalitions get. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EpochInput, type EpochOutput, runEpoch } from './epoch.ts';
import type { SparseRow } from './matrix.ts';

const TEMPO = 360;
const START_BLOCK = 10_000;

/** A subnet of old, active neurons; every staked one is permitted, there is no owner. */
function subnet(
  stake: readonly number[],
  weights: Record<number, SparseRow>,
  more: Partial<EpochInput> = {},
): EpochInput {
  const each = <T>(value: T): T[] => stake.map(() => value);
  return {
    stake: stake.map(BigInt),
    weights: stake.map((_, uid) => weights[uid] ?? []),
    bonds: each([]),
    permits: stake.map((s) => s > 0),
    lastUpdate: each(START_BLOCK - 1),
    registeredAt: each(1),
    block: START_BLOCK,
    tempo: TEMPO,
    lastEpochBlock: START_BLOCK - TEMPO,
    kappa: 32767,
    bondsPenalty: 65535,
    bondsMovingAverage: 900_000,
    maxValidators: 64,
    activityCutoffBlocks: 5000,
    ownerUid: null,
    version: 2,
    emission: 360_000_000_000n,
    ...more,
  };
}

/** The next epoch of the same subnet, with the bonds and permits that the last one left. */
function next(input: EpochInput, { bonds, permits }: EpochOutput, more: Partial<EpochInput> = {}): EpochInput {
  const block = input.block + TEMPO;
  const lastUpdate = input.lastUpdate.map(() => block - 1);
  return { ...input, bonds, permits, block, lastUpdate, lastEpochBlock: input.block, ...more };
}

const list = (values: Uint16Array) => Array.from(values);
const oneHot = (uid: number): SparseRow => [[uid, 65535]];

describe('the epoch of a real runtime (spec 293, Yuma 2, kappa lowered, silent owner)', () => {
  const first = subnet(
    [39621, 25120, 793, 0, 0, 0],
    {
      1: oneHot(3),
      2: [
        [3, 65535],
        [4, 65535],
      ],
    },
    { kappa: 16000, ownerUid: 0 },
  );

  it('gives the recorded numbers', () => {
    let output = runEpoch(first);
    expect(list(output.dividends)).toEqual([0, 64516, 1018, 0, 0, 0]);
    for (let epoch = 2, input = first; epoch <= 6; epoch++) {
      input = next(input, output);
      output = runEpoch(input);
      expect(list(output.stakeWeight)).toEqual([39621, 25120, 793, 0, 0, 0]);
      expect(list(output.consensus)).toEqual([0, 0, 0, 65535, 0, 0]);
      expect(list(output.incentive)).toEqual([0, 0, 0, 65535, 0, 0]);
      expect(list(output.validatorTrust)).toEqual([0, 65535, 32767, 0, 0, 0]);
      expect(list(output.dividends)).toEqual([0, 64517, 1017, 0, 0, 0]);
      expect(output.bonds).toEqual([[], [[3, 65535]], [[3, 1034]], [], [], []]);
    }
  });
});

describe.each([2, 3] as const)('Yuma %i', (version) => {
  /** Runs `epochs` epochs; `weightsAt` says who votes for what in each. */
  function run(stake: readonly number[], epochs: number, weightsAt: (epoch: number) => Record<number, SparseRow>) {
    const outputs: EpochOutput[] = [];
    let input = subnet(stake, weightsAt(0), { version });
    for (let epoch = 0; epoch < epochs; epoch++) {
      if (epoch > 0) {
        const weights = stake.map((_, uid) => weightsAt(epoch)[uid] ?? []);
        input = next(input, outputs.at(-1) as EpochOutput, { weights });
      }
      outputs.push(runEpoch(input));
    }
    return outputs;
  }

  it('does not care which uid a neuron has', () => {
    fc.assert(
      fc.property(subnets(version), fc.integer(), (input, seed) => {
        const n = input.stake.length;
        const order = Array.from({ length: n }, (_, uid) => uid).sort((a, b) => scatter(a + seed) - scatter(b + seed));
        const moved = <T>(values: ArrayLike<T>): T[] => order.map((uid) => values[uid] as T);
        const place = new Map(order.map((uid, at) => [uid, at]));
        const movedRows = (rows: readonly SparseRow[]): [number, number][][] =>
          moved(rows).map((row) =>
            row.map(([uid, value]): [number, number] => [place.get(uid) as number, value]).sort((a, b) => a[0] - b[0]),
          );
        const a = runEpoch(input);
        const b = runEpoch({
          ...input,
          stake: moved(input.stake),
          weights: movedRows(input.weights),
          bonds: movedRows(input.bonds),
          permits: moved(input.permits),
          lastUpdate: moved(input.lastUpdate),
          registeredAt: moved(input.registeredAt),
          ownerUid: input.ownerUid === null ? null : (place.get(input.ownerUid) as number),
        });
        for (const name of ['consensus', 'validatorTrust', 'incentive', 'dividends', 'stakeWeight'] as const) {
          expect(list(b[name]), name).toEqual(moved(a[name]));
        }
        expect(b.bonds).toEqual(movedRows(a.bonds));
        expect(b.emission).toEqual(moved(a.emission));
      }),
    );
  });

  it('never gives more than there is', () => {
    fc.assert(
      fc.property(subnets(version), (input) => {
        const output = runEpoch(input);
        const total = (rao: bigint[]) => rao.reduce((sum, part) => sum + part, 0n);
        for (const shares of [output.incentive, output.dividends, output.stakeWeight]) {
          expect(list(shares).reduce((sum, x) => sum + x, 0)).toBeLessThanOrEqual(65535);
        }
        expect(total(output.minerEmission) + total(output.validatorEmission)).toBeLessThanOrEqual(input.emission);
        expect(total(output.emission)).toBeLessThanOrEqual(input.emission);
        for (const [uid, row] of output.bonds.entries()) if (!output.permits[uid]) expect(row).toEqual([]);
      }),
    );
  });

  it('pays dividends in proportion to stake when all agree on one king, whoever it is', () => {
    // Below 2^-32 of all stake there is nothing left of it.
    const stake = fc.array(fc.integer({ min: 1e4, max: 1e12 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(stake, (stakes) => {
        const [n, total] = [stakes.length, stakes.reduce((sum, s) => sum + s, 0)];
        const king = (epoch: number) => n + (epoch < 3 ? 0 : 1);
        const outputs = run([...stakes, 0, 0], 5, (epoch) =>
          Object.fromEntries(stakes.map((_, uid) => [uid, oneHot(king(epoch))])),
        );
        outputs.forEach((output, epoch) => {
          expect(output.incentive[king(epoch)]).toBe(65535);
          for (const [uid, s] of stakes.entries()) {
            expect(output.validatorTrust[uid]).toBe(65535);
            // Stored bonds know a share to one part in 65535 of the largest.
            expect(Math.abs((output.dividends[uid] as number) - (65535 * s) / total)).toBeLessThan(2);
          }
        });
      }),
    );
  });

  it('gives a coalition below kappa no trust, no dividends and no say', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 499 }), fc.integer({ min: 1, max: 5 }), (share, members) => {
        // Honest: uids 0 and 1. Then the coalition, the king and its favourite.
        const [king, favourite] = [2 + members, 3 + members];
        const coalition = Array.from({ length: members }, (_, i) => 2 + i);
        const stake = [members * (1000 - share), 7, ...coalition.map(() => share), 0, 0];
        const votes = {
          0: oneHot(king),
          1: oneHot(king),
          ...Object.fromEntries(coalition.map((i) => [i, oneHot(favourite)])),
        };
        for (const output of run(stake, 3, () => votes)) {
          expect(output.incentive[king]).toBe(65535);
          expect(output.consensus[favourite]).toBe(0);
          for (const uid of coalition) {
            expect([output.validatorTrust[uid], output.dividends[uid], output.validatorEmission[uid]]).toEqual([
              0,
              0,
              0n,
            ]);
          }
        }
      }),
    );
  });

  it('counts both halves of an even split, since kappa is a little below one half', () => {
    for (const output of run([500, 500, 0, 0], 3, () => ({ 0: oneHot(2), 1: oneHot(3) }))) {
      expect(list(output.consensus)).toEqual([0, 0, 65535, 65535]);
      expect(list(output.incentive)).toEqual([0, 0, 32767, 32767]);
      expect(list(output.dividends)).toEqual([32767, 32767, 0, 0]);
    }
  });

  it('lets emission follow stake when three parties split, or a majority of stake is silent', () => {
    const split = run([400, 300, 300, 0, 0, 0], 2, () => ({ 0: oneHot(3), 1: oneHot(4), 2: oneHot(5) }));
    const silent = run([600, 200, 200, 0], 2, () => ({ 1: oneHot(3), 2: oneHot(3) }));
    for (const [outputs, shares] of [
      [split, [4n, 3n, 3n]],
      [silent, [6n, 2n, 2n]],
    ] as const) {
      for (const output of outputs) {
        for (const name of ['consensus', 'validatorTrust', 'incentive', 'dividends'] as const) {
          expect(output[name].every((x) => x === 0)).toBe(true);
        }
        expect(output.minerEmission.every((rao) => rao === 0n)).toBe(true);
        shares.forEach((share, uid) => {
          const lost = share * 36_000_000_000n - (output.validatorEmission[uid] as bigint);
          expect(lost >= 0n && lost < 100n).toBe(true);
        });
      }
    }
  });

  it('makes a validator that follows a new king late pay for it, less and less', () => {
    const [old, fresh] = [3, 4];
    const outputs = run([400, 300, 300, 0, 0], 16, (epoch) => ({
      0: oneHot(epoch < 4 ? old : fresh),
      1: oneHot(epoch < 4 ? old : fresh),
      2: oneHot(epoch < 5 ? old : fresh),
    }));
    const late = outputs.map((output) => output.dividends[2] as number);
    const fair = 0.3 * 65535;
    for (const dividends of late.slice(0, 4)) expect(Math.abs(dividends - fair)).toBeLessThan(2);
    expect(late[4]).toBe(0);
    expect(outputs[4]?.validatorTrust[2]).toBe(0);
    for (let epoch = 5; epoch < 16; epoch++) {
      expect(late[epoch]).toBeGreaterThan(late[epoch - 1] as number);
      expect(late[epoch]).toBeLessThan(fair);
    }
  });
});

describe('an epoch', () => {
  it('of an empty subnet is empty', () => {
    expect(runEpoch(subnet([], {})).emission).toEqual([]);
  });

  it('permits the owner without stake, and the highest uids among equals', () => {
    const input = subnet([0, 5, 5, 5, 9], {}, { maxValidators: 3, ownerUid: 0 });
    expect(runEpoch(input).permits).toEqual([true, false, true, true, true]);
  });

  it('hears the owner on itself, nobody else', () => {
    const votes = { 0: oneHot(0), 1: oneHot(1) };
    const { incentive } = runEpoch(subnet([600, 400], votes, { ownerUid: 0 }));
    expect(list(incentive)).toEqual([65535, 0]);
  });

  it('forgets weights and bonds that were meant for the former holder of a uid', () => {
    const input = subnet([500, 500, 0, 0], { 0: oneHot(2), 1: oneHot(2) });
    const first = runEpoch(input);
    const replaced = START_BLOCK + 100;
    const registeredAt = [1, 1, replaced, 1];
    // Validator 0 has seen the new neuron, validator 1 not yet.
    const second = { ...next(input, first), registeredAt, lastUpdate: [replaced + 1, replaced, 1, 1] };
    const { validatorTrust, bonds } = runEpoch(second);
    expect(list(validatorTrust)).toEqual([65535, 0, 0, 0]);
    expect(bonds).toEqual([[[2, 65535]], [], [], []]);
    const committed = [replaced - 1, null, null, null];
    expect(list(runEpoch({ ...second, pendingCommit: committed }).validatorTrust)).toEqual([0, 0, 0, 0]);
  });

  it('leaves out who has not set weights for long', () => {
    const votes = { 0: oneHot(3), 1: oneHot(2) };
    const lastUpdate = [START_BLOCK - 5001, START_BLOCK - 5000, 1, 1];
    const output = runEpoch(subnet([900, 100, 0, 0], votes, { lastUpdate }));
    expect(output.active).toEqual([false, true, false, false]);
    expect(list(output.incentive)).toEqual([0, 0, 65535, 0]);
    expect(list(output.dividends)).toEqual([0, 65535, 0, 0]);
  });
});

/** Small subnets with stakes of all magnitudes, sparse and dense weights, stored bonds, masks. */
function subnets(version: 2 | 3): fc.Arbitrary<EpochInput> {
  const share = fc.oneof(fc.constant(65535), fc.integer({ min: 0, max: 65535 }));
  return fc.integer({ min: 1, max: 12 }).chain((n) => {
    const each = <T>(value: fc.Arbitrary<T>) => fc.array(value, { minLength: n, maxLength: n });
    const uid = fc.integer({ min: 0, max: n - 1 });
    const row = fc.uniqueArray(fc.tuple(uid, share), { selector: ([at]) => at, maxLength: n });
    const stake = fc.oneof(fc.constantFrom(0, 1, 1000), fc.integer({ min: 0, max: 2 ** 50 }));
    return fc
      .record({
        stake: each(stake),
        weights: each(row),
        bonds: each(row),
        permits: each(fc.boolean()),
        lastUpdate: each(fc.constantFrom(1, 5000, 9700, 9999)),
        registeredAt: each(fc.constantFrom(1, 1, 1, 9700)),
        ownerUid: fc.option(uid),
        kappa: fc.constantFrom(32767, 16000, 0, 65535),
        bondsPenalty: fc.constantFrom(65535, 32768, 0),
      })
      .map(({ stake: stakes, ...more }) => subnet(stakes, {}, { ...more, maxValidators: n, version }));
  });
}

function scatter(x: number): number {
  return Math.imul(x ^ 0x5bd1e995, 0x9e3779b1) >>> 0;
}
