/**
 * @file Yuma consensus against an independent implementation (`yuma.py`), on random subnets over several epochs.
 *
 * `YUMA_VECTORS=FILE` compares with another file than the committed one, for instance of the first thousand subnets.
 */
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type EpochInput, runEpoch } from '@quasar/chain';
import { describe, expect, it } from 'vitest';
import { readVectors, type Vectors } from './vectors.ts';

const MODULUS = 2 ** 31 - 1;
const U16 = 65535;
const EPOCH_BLOCKS = 360;

/** The whole numbers of `Draws` in yuma.py. */
class Draws {
  #state: number;

  constructor(name: string) {
    this.#state = (crc32(name) % (MODULUS - 1)) + 1;
  }

  below(n: number): number {
    this.#state = (this.#state * 48271) % MODULUS;
    return Math.floor(n * (this.#state / MODULUS));
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  rare(): boolean {
    return this.below(20) === 0;
  }
}

const times = <T>(n: number, make: () => T): T[] => Array.from({ length: n }, make);

function subnet(k: number) {
  const draws = new Draws(`yuma ${k}`);
  const n = k % 100 === 99 ? 256 : 1 + draws.below(64);
  const stakes = draws.oneOf(['equal', 'uniform', 'magnitudes', 'two']);
  const recently = () => 10_000 - draws.below(800);
  const stake = times(n, () => {
    if (draws.below(3) === 0 && n > 2) return 0;
    if (stakes === 'equal') return 1e12;
    if (stakes === 'two') return draws.oneOf([1e12, 2e12]);
    const mantissa = 1 + draws.below(2 ** 20);
    return mantissa * 2 ** (stakes === 'uniform' ? 30 : draws.below(33));
  });
  return {
    stake: stake.map(BigInt),
    permits: stake.map((amount) => amount > 0 && !draws.rare()),
    registeredAt: times(n, () => (draws.rare() ? recently() : 1)),
    ages: times(n, () => (draws.rare() ? 6000 : draws.below(800))),
    pendingCommit: times(n, () => (draws.rare() ? recently() : null)),
    ownerUid: draws.below(2) === 0 ? draws.below(n) : null,
    kappa: draws.oneOf([32767, 32767, 32767, 16000, 49151, 65535, 0]),
    bondsPenalty: draws.oneOf([65535, 65535, 0, 32768]),
    bondsMovingAverage: draws.oneOf([900_000, 900_000, 975_000, 500_000, 0, 1_000_000]),
    maxValidators: draws.oneOf([1, 4, 64, 256]),
    version: (2 + draws.below(2)) as 2 | 3,
    epochs: 2 + draws.below(4),
  };
}

function storedWeights(k: number, epoch: number, n: number): [number, number][][] {
  const draws = new Draws(`yuma ${k} epoch ${epoch}`);
  const king = draws.below(n);
  const agreement = draws.oneOf([1, 2, 8]);
  return times(n, () => {
    const row = new Map<number, number>();
    const style = draws.oneOf(['king', 'king', 'sparse', 'dense', 'none']);
    if (style === 'king') row.set(draws.below(agreement) === 0 ? king : draws.below(n), U16);
    if (style === 'sparse') times(1 + draws.below(4), () => row.set(draws.below(n), draws.below(65536)));
    if (style === 'dense') for (let j = 0; j < n; j++) row.set(j, draws.below(65536));
    return [...row];
  });
}

/** Our numbers under the names of the oracle; shares of emission are out of 2^32 rao. */
function results(k: number): Record<string, number[]> {
  const { ages, epochs, ...stays } = subnet(k);
  const n = stays.stake.length;
  const printed: Record<string, number[]> = {};
  let input: EpochInput | undefined;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const block = 10_000 + epoch * EPOCH_BLOCKS;
    input = {
      ...(input ?? { ...stays, bonds: [], lastEpochBlock: 0 }),
      weights: storedWeights(k, epoch, n),
      lastUpdate: ages.map((age) => block - age),
      block,
      tempo: EPOCH_BLOCKS,
      activityCutoffBlocks: 5000,
      emission: 2n ** 32n,
    };
    const output = runEpoch(input);
    input = { ...input, bonds: output.bonds, permits: output.permits, lastEpochBlock: block };
    const shares = (rao: bigint[]) => rao.map((part) => Number((part * BigInt(U16)) >> 32n));
    printed[`consensus ${epoch}`] = [...output.consensus];
    printed[`trust ${epoch}`] = [...output.validatorTrust];
    printed[`incentive ${epoch}`] = [...output.incentive];
    printed[`dividends ${epoch}`] = [...output.dividends];
    printed[`mining ${epoch}`] = shares(output.minerEmission);
    printed[`validating ${epoch}`] = shares(output.validatorEmission);
    printed[`permits ${epoch}`] = output.permits.map(Number);
  }
  printed.bonds = (input?.bonds ?? []).flatMap((row) => {
    const values = new Array<number>(n).fill(0);
    for (const [uid, value] of row) values[uid] = value;
    return values;
  });
  return printed;
}

describe('Yuma consensus, against an independent implementation', () => {
  const file = process.env.YUMA_VECTORS;
  const vectors: Vectors = file ? JSON.parse(readFileSync(file, 'utf8')) : readVectors('yuma');

  it('agrees to one unit of u16, and exactly in all but one of a million numbers', () => {
    let [numbers, unequal] = [0, 0];
    const worse: string[] = [];
    for (const [k, expected] of Object.entries(vectors)) {
      const got = results(Number(k));
      expect(Object.keys(got), k).toEqual(Object.keys(expected));
      for (const [name, values] of Object.entries(expected)) {
        const ours = got[name] as number[];
        expect(ours.length, `${k} ${name}`).toBe(values.length);
        numbers += values.length;
        values.forEach((value, i) => {
          if (value !== ours[i]) unequal++;
          if (Math.abs(value - (ours[i] as number)) > 1) worse.push(`${k} ${name} ${i}: ${ours[i]} not ${value}`);
        });
      }
    }
    expect(worse).toEqual([]);
    expect(numbers).toBeGreaterThan(1000);
    expect(unequal / numbers).toBeLessThan(1e-6);
    if (file) console.log(`${Object.keys(vectors).length} subnets, ${numbers} numbers, ${unequal} off by one`);
  });
});
