/**
 * @file Group 11: epochs of the runtime against our own consensus, u16 for u16.
 *
 * Subnets are written into storage, the runtime runs their epochs, and what it stored is compared with `runEpoch`. With
 * SUBTENSOR_RECORD the inputs and outputs become test vectors: numbers only.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type EpochInput, runEpoch } from '../packages/chain/src/yuma/index.ts';
import { Harness, type StorageItem, strangerAddress } from './support/harness.ts';

const NEURONS = 6;
const TEMPO = 3;
const RAO = 1_000_000_000n;
const U16_MAX = 65535;

type Row = readonly (readonly [uid: number, value: number])[];

interface Case {
  name: string;
  /** TAO by uid. */
  stake: number[];
  /** Rows by uid, for each epoch; the last stays. */
  epochs: Record<number, Row>[];
  kappa?: number;
  bondsPenalty?: number;
  inactive?: number[];
  /** Registered after the validators set their weights. */
  fresh?: number[];
}

const one = (uid: number): Row => [[uid, U16_MAX]];
const cases: Case[] = [
  {
    name: 'worked example: a silent owner, a lone second vote',
    stake: [39621, 25120, 793, 0, 0, 0],
    kappa: 16000,
    epochs: [
      {
        1: one(3),
        2: [
          [3, U16_MAX],
          [4, U16_MAX],
        ],
      },
    ],
  },
  { name: 'unanimous king', stake: [500, 300, 200, 0, 0, 0], epochs: [{ 0: one(4), 1: one(4), 2: one(4) }] },
  { name: 'minority for another king', stake: [500, 300, 200, 0, 0, 0], epochs: [{ 0: one(4), 1: one(4), 2: one(5) }] },
  { name: 'two halves', stake: [500, 250, 250, 0, 0, 0], epochs: [{ 0: one(4), 1: one(5), 2: one(5) }] },
  { name: 'three kings', stake: [400, 300, 300, 0, 0, 0], epochs: [{ 0: one(3), 1: one(4), 2: one(5) }] },
  { name: 'silent majority', stake: [600, 250, 150, 0, 0, 0], epochs: [{ 1: one(4), 2: one(4) }] },
  { name: 'nobody votes', stake: [600, 250, 150, 0, 0, 0], epochs: [{}] },
  {
    name: 'the king changes, one validator first',
    stake: [400, 350, 250, 0, 0, 0],
    epochs: [
      { 0: one(4), 1: one(4), 2: one(4) },
      { 0: one(4), 1: one(4), 2: one(5) },
      { 0: one(5), 1: one(5), 2: one(5) },
      { 0: one(5), 1: one(5), 2: one(5) },
    ],
  },
  {
    name: 'graded weights, bonds half clipped',
    stake: [471, 333, 195, 1, 0, 0],
    bondsPenalty: 32768,
    epochs: [
      {
        0: [
          [3, 10000],
          [4, 20000],
          [5, 65535],
        ],
        1: [
          [3, 65535],
          [4, 5],
          [5, 30000],
        ],
        2: [
          [0, 700],
          [3, 4096],
          [4, 65535],
          [5, 1],
        ],
      },
      {
        0: [
          [3, 65535],
          [5, 1234],
        ],
        1: [
          [3, 65535],
          [4, 65535],
          [5, 65535],
        ],
        2: [
          [1, 3],
          [4, 65535],
        ],
      },
    ],
  },
  {
    name: 'an inactive validator',
    stake: [500, 300, 200, 0, 0, 0],
    inactive: [0],
    epochs: [{ 0: one(4), 1: one(5), 2: one(5) }],
  },
  {
    name: 'a uid given to another hotkey',
    stake: [500, 300, 200, 0, 0, 0],
    fresh: [4],
    epochs: [
      {
        0: [
          [4, U16_MAX],
          [5, 100],
        ],
        1: one(4),
        2: [
          [3, 7],
          [4, 9],
          [5, 11],
        ],
      },
    ],
  },
];
const EPOCHS = 4;

interface Vector {
  name: string;
  epoch: number;
  input: Omit<EpochInput, 'stake' | 'emission'> & { stake: string[] };
  output: Record<string, unknown>;
}

describe('epochs of the runtime', () => {
  const harness = new Harness();
  const recorded: Vector[] = [];
  afterAll(() => {
    harness.close();
    const directory = process.env.SUBTENSOR_RECORD;
    if (directory) writeVectors(directory, recorded);
  });

  it('are those of runEpoch, in Yuma 2 and Yuma 3', { timeout: 600_000 }, async () => {
    const subjects = cases.flatMap((test, i) =>
      ([2, 3] as const).map((version) => ({ test, version, netuid: 1000 + 2 * i + (version - 2) })),
    );
    // High enough for a neuron to be inactive.
    await harness.jumpTo((await harness.node.head()).number + 6000);
    const start = (await harness.node.head()).number;
    await harness.write(
      ...subjects.flatMap((subject) => subnetItems(subject.netuid, subject.test, subject.version, start)),
    );
    for (let epoch = 0; epoch < EPOCHS; epoch++) {
      const first = (await harness.node.head()).number;
      await harness.write(
        ...subjects.flatMap(({ netuid, test }) =>
          weightItems(netuid, test.epochs[Math.min(epoch, test.epochs.length - 1)] ?? {}),
        ),
      );
      await harness.advance(TEMPO + 1);
      for (const { netuid, test, version } of subjects) {
        const block = epochBlock(first, netuid);
        const input = await readInput(harness, netuid, block, version);
        const output = await readOutput(harness, netuid, block);
        const ours = runEpoch({ ...input, stake: input.stake.map(BigInt), emission: 0n });
        const name = `${test.name}, Yuma ${version}`;
        expect({ name, epoch, ...comparable(ours, Object.keys(output)) }).toEqual({ name, epoch, ...output });
        if (epoch < 2 || test.epochs.length > 1) recorded.push({ name, epoch, input, output });
      }
    }
    const outputOf = (name: string, epoch: number) =>
      recorded.find((vector) => vector.name === name && vector.epoch === epoch)?.output;
    // Their epochs would slow every later block down.
    await harness.write(...subjects.map(({ netuid }): StorageItem => [P, 'NetworksAdded', [netuid], false]));
    // Measured on the runtime before: the stored, truncated bonds move the second epoch by one.
    const worked = `${cases[0]?.name}, Yuma 2`;
    expect(outputOf(worked, 0)?.dividends).toEqual([0, 64516, 1018, 0, 0, 0]);
    expect(outputOf(worked, 1)).toMatchObject({
      consensus: [0, 0, 0, U16_MAX, 0, 0],
      incentive: [0, 0, 0, U16_MAX, 0, 0],
      dividends: [0, 64517, 1017, 0, 0, 0],
    });
    expect(outputOf('an inactive validator, Yuma 3', 0)?.active).toEqual([false, true, true, true, true, true]);
    expect(outputOf('three kings, Yuma 3', 1)?.incentive).toEqual([0, 0, 0, 0, 0, 0]);
  });

  function writeVectors(directory: string, vectors: Vector[]): void {
    const lines = vectors.map((vector) => `    ${JSON.stringify(vector)}`).join(',\n');
    writeFileSync(join(directory, 'runtime-293.json'), `{\n  "specVersion": 293,\n  "vectors": [\n${lines}\n  ]\n}\n`);
  }
});

const P = 'SubtensorModule';

/** A subnet with six neurons of its own, without a single extrinsic. */
function subnetItems(netuid: number, test: Case, version: 2 | 3, head: number): StorageItem[] {
  const perSubnet: [string, unknown][] = [
    ['NetworksAdded', true],
    ['SubnetMechanism', 1],
    ['SubnetworkN', NEURONS],
    ['MaxAllowedUids', 256],
    ['MaxAllowedValidators', 64],
    ['Tempo', TEMPO],
    ['Kappa', test.kappa ?? 32767],
    ['BondsPenalty', test.bondsPenalty ?? U16_MAX],
    ['BondsMovingAverage', 900_000n],
    ['ActivityCutoff', 5000],
    ['CommitRevealWeightsEnabled', false],
    ['LiquidAlphaOn', false],
    ['Yuma3On', version === 3],
    ['Active', test.stake.map(() => true)],
    ['ValidatorPermit', test.stake.map((tao) => tao > 0)],
    ['LastUpdate', test.stake.map((_, uid) => BigInt(test.inactive?.includes(uid) ? head - 5100 : head))],
    ...['Rank', 'Trust', 'Consensus', 'Incentive', 'Dividends', 'ValidatorTrust', 'PruningScores'].map(
      (entry): [string, unknown] => [entry, test.stake.map(() => 0)],
    ),
    ['Emission', test.stake.map(() => 0n)],
  ];
  const items: StorageItem[] = perSubnet.map(([entry, value]) => [P, entry, [netuid], value]);
  test.stake.forEach((tao, uid) => {
    const hotkey = hotkeyOf(netuid, uid);
    items.push([P, 'Keys', [netuid, uid], hotkey], [P, 'Uids', [netuid, hotkey], uid], [P, 'Owner', [hotkey], hotkey]);
    items.push([P, 'IsNetworkMember', [hotkey, netuid], true]);
    items.push([P, 'BlockAtRegistration', [netuid, uid], BigInt(test.fresh?.includes(uid) ? head : 0)]);
    items.push([P, 'TotalHotkeyAlpha', [hotkey, netuid], BigInt(tao) * RAO]);
  });
  return items;
}

function weightItems(netuid: number, rows: Record<number, Row>): StorageItem[] {
  return Array.from({ length: NEURONS }, (_, uid) => [P, 'Weights', [netuid, uid], rows[uid] ?? []]);
}

function hotkeyOf(netuid: number, uid: number): string {
  return strangerAddress((netuid - 1000) * 8 + uid + 1);
}

/** The first block after `head` that runs the epoch of this subnet. */
function epochBlock(head: number, netuid: number): number {
  let block = head + 1;
  while ((block + netuid + 1) % (TEMPO + 1) !== TEMPO) block++;
  return block;
}

async function readInput(harness: Harness, netuid: number, block: number, version: 2 | 3): Promise<Vector['input']> {
  const before = await harness.node.state(block - 1);
  const uids = Array.from({ length: NEURONS }, (_, uid) => uid);
  const [permits, lastUpdate, kappa, bondsPenalty, average, maxValidators, cutoff] = await before.getMany<
    [boolean[], bigint[], number, number, bigint, number, number]
  >(
    ...[
      'ValidatorPermit',
      'LastUpdate',
      'Kappa',
      'BondsPenalty',
      'BondsMovingAverage',
      'MaxAllowedValidators',
      'ActivityCutoff',
    ].map((entry): [string, string, number] => [P, entry, netuid]),
  );
  const perUid = <T extends unknown[]>(entry: string, keys: (uid: number) => unknown[]) =>
    before.getMany<T>(...uids.map((uid): [string, string, ...unknown[]] => [P, entry, ...keys(uid)]));
  const stake = await perUid<bigint[]>('TotalHotkeyAlpha', (uid) => [hotkeyOf(netuid, uid), netuid]);
  const registeredAt = await perUid<bigint[]>('BlockAtRegistration', (uid) => [netuid, uid]);
  const weights = await perUid<[number, number][][]>('Weights', (uid) => [netuid, uid]);
  const bonds = await perUid<[number, number][][]>('Bonds', (uid) => [netuid, uid]);
  return {
    stake: stake.map(String),
    weights,
    bonds,
    permits,
    lastUpdate: lastUpdate.map(Number),
    registeredAt: registeredAt.map(Number),
    block,
    tempo: TEMPO,
    // This runtime takes the block one tempo ago, as runEpoch does before the first epoch.
    lastEpochBlock: 0,
    kappa,
    bondsPenalty,
    bondsMovingAverage: Number(average),
    maxValidators,
    activityCutoffBlocks: cutoff,
    ownerUid: null,
    version,
  };
}

async function readOutput(harness: Harness, netuid: number, block: number): Promise<Record<string, unknown>> {
  const after = await harness.node.state(block);
  const [stakeWeight, consensus, validatorTrust, incentive, dividends, permits, active] = await after.getMany<
    unknown[][]
  >(
    ...['StakeWeight', 'Consensus', 'ValidatorTrust', 'Incentive', 'Dividends', 'ValidatorPermit', 'Active'].map(
      (entry): [string, string, number] => [P, entry, netuid],
    ),
  );
  const bonds = await after.getMany<unknown[][]>(
    ...Array.from({ length: NEURONS }, (_, uid): [string, string, number, number] => [P, 'Bonds', netuid, uid]),
  );
  return { stakeWeight, consensus, validatorTrust, incentive, dividends, permits, active, bonds };
}

/** Typed arrays as plain ones. */
function comparable(output: object, names: string[]): Record<string, unknown> {
  const values = output as Record<string, unknown>;
  return Object.fromEntries(
    names.map((name) => [
      name,
      values[name] instanceof Uint16Array ? [...(values[name] as Uint16Array)] : values[name],
    ]),
  );
}
