import type { Metagraph, Neuron, WeightRow } from '@quasar/chain';
import { describe, expect, it } from 'vitest';
import { chainKing, coordinatedKing } from './king.ts';

function neuron(uid: number, stake: number, validatorPermit = stake > 0): Neuron {
  return {
    uid,
    hotkey: `key${uid}`,
    coldkey: `cold${uid}`,
    stake,
    active: true,
    validatorPermit,
    lastUpdateBlock: 0,
    registeredAtBlock: 0,
    incentive: 0,
    dividends: 0,
    consensus: 0,
    validatorTrust: 0,
    emission: 0,
  };
}

const metagraph = (...neurons: Neuron[]): Metagraph => ({ netuid: 24, atBlock: 100, neurons });
const row = (validatorUid: number, weights: [number, number][], setAtBlock = 90): WeightRow => ({
  validatorUid,
  hotkey: `key${validatorUid}`,
  setAtBlock,
  weights: weights.map(([uid, weight]) => ({ uid, weight })),
});

describe('chainKing', () => {
  it('is the stake-weighted argmax', () => {
    const graph = metagraph(neuron(0, 100), neuron(1, 60), neuron(2, 50), neuron(5, 0), neuron(6, 0));
    const rows = [row(0, [[5, 0.9]], 80), row(1, [[6, 0.9]]), row(2, [[6, 0.9]], 95)];
    expect(chainKing(rows, graph)).toMatchObject({ uid: 6, hotkey: 'key6', weightsBlock: 95 });
    expect(chainKing(rows, graph)!.supportStake).toBeCloseTo(99, 9);
    expect(chainKing(rows, graph)!.supportFraction).toBeCloseTo(99 / 210, 9);
  });

  it('ties go to the lower uid', () => {
    const graph = metagraph(neuron(0, 10), neuron(1, 10), neuron(8, 0), neuron(5, 0));
    expect(chainKing([row(0, [[8, 1]]), row(1, [[5, 1]])], graph)?.uid).toBe(5);
  });

  it('ignores rows without permit, without stake, of a recycled uid, and weight to nobody', () => {
    const graph = metagraph(neuron(0, 10), neuron(1, 99, false), neuron(2, 0, true), neuron(5, 0));
    const rows = [row(1, [[5, 1]]), row(2, [[5, 1]]), { ...row(0, [[5, 1]]), hotkey: 'former' }, row(0, [[77, 1]])];
    expect(chainKing(rows, graph)).toBeNull();
    expect(chainKing([], graph)).toBeNull();
  });
});

describe('coordinatedKing', () => {
  const graph = metagraph(neuron(0, 50), neuron(1, 100), neuron(5, 0), neuron(6, 0));
  const nobody = { former: new Set<string>(), patientUntilBlock: 0 };
  const own = { hotkey: 'key0', weights: [{ uid: 6, weight: 1 }], sinceBlock: 80, ...nobody };

  it('a row from before the own crown does not undo it, a later one of more stake does', () => {
    expect(coordinatedKing([row(1, [[5, 1]], 79)], graph, own)).toMatchObject({ uid: 6 });
    expect(coordinatedKing([row(1, [[5, 1]], 80)], graph, own)).toMatchObject({ uid: 5, weightsBlock: 80 });
    expect(chainKing([row(1, [[5, 1]], 79)], graph)).toMatchObject({ uid: 5 });
  });

  it('who still names the king of before is late, until it has had the time to know better', () => {
    const patient = { ...own, former: new Set(['key5']), patientUntilBlock: 120 };
    expect(coordinatedKing([row(1, [[5, 1]], 120)], graph, patient)).toMatchObject({ uid: 6 });
    expect(coordinatedKing([row(1, [[5, 1]], 121)], graph, patient)).toMatchObject({ uid: 5 });
    const another = metagraph(...graph.neurons, neuron(7, 0));
    expect(coordinatedKing([row(1, [[7, 1]], 90)], another, patient)).toMatchObject({ uid: 7 });
  });

  it('the own vote is the verdict, not the row that is still on chain', () => {
    expect(coordinatedKing([row(0, [[5, 1]], 99)], graph, own)).toMatchObject({ uid: 6, supportFraction: 1 });
  });

  it('two validators of equal stake see the same tie', () => {
    const equal = metagraph(neuron(0, 10), neuron(1, 10), neuron(5, 0), neuron(6, 0));
    const share = (uid: number): [number, number][] => [
      [uid, 65535 / 72817],
      [0, 7282 / 72817],
    ];
    const vote = (uid: number) => [
      { uid, weight: 0.9 },
      { uid: 0, weight: 0.1 },
    ];
    const voter = (hotkey: string, uid: number) => ({ hotkey, weights: vote(uid), sinceBlock: 0, ...nobody });
    const first = coordinatedKing([row(1, share(5))], equal, voter('key0', 6));
    const second = coordinatedKing([row(0, share(6))], equal, voter('key1', 5));
    expect([first?.uid, second?.uid]).toEqual([5, 5]);
  });

  it('without a neuron, or without a permit, the own vote does not count', () => {
    const rows = [row(1, [[5, 1]], 90)];
    expect(coordinatedKing(rows, graph, { ...own, hotkey: 'stranger' })).toMatchObject({ uid: 5 });
    const weak = metagraph(neuron(0, 500, false), neuron(1, 1), neuron(5, 0), neuron(6, 0));
    expect(coordinatedKing(rows, weak, own)).toMatchObject({ uid: 5 });
  });
});
