import type { Metagraph, Neuron, WeightRow } from '@quasar/chain';
import { describe, expect, it } from 'vitest';
import { chainKing } from './king.ts';

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
