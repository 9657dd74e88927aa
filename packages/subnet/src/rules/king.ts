/**
 * @file Which uid the network pays: the incumbent that every coordinated validator duels against.
 *
 * King = argmax over uids of the stake-weighted on-chain weight at the round's start block, rows of permitted
 * validators only; ties go to the lower uid. Source: subnet.md section 7.
 */
import type { Metagraph, WeightRow } from '@quasar/chain';

export interface ChainKing {
  uid: number;
  hotkey: string;
  /** Stake behind it, and its fraction of all stake that voted. */
  supportStake: number;
  supportFraction: number;
  /** Block of the newest row that names it. */
  weightsBlock: number;
}

/** @param rows weight rows at the same block as the metagraph */
export function chainKing(rows: readonly WeightRow[], metagraph: Metagraph): ChainKing | null {
  const neurons = new Map(metagraph.neurons.map((neuron) => [neuron.uid, neuron]));
  const support = new Map<number, { stake: number; weightsBlock: number }>();
  let votingStake = 0;
  for (const row of rows) {
    const validator = neurons.get(row.validatorUid);
    if (!validator?.validatorPermit || validator.hotkey !== row.hotkey || validator.stake <= 0) continue;
    votingStake += validator.stake;
    for (const { uid, weight } of row.weights) {
      const target = neurons.get(uid);
      // A weight older than the registration was meant for the hotkey before.
      if (weight <= 0 || !target || row.setAtBlock < target.registeredAtBlock) continue;
      const known = support.get(uid);
      support.set(uid, {
        stake: (known?.stake ?? 0) + validator.stake * weight,
        weightsBlock: Math.max(known?.weightsBlock ?? 0, row.setAtBlock),
      });
    }
  }
  const ranked = [...support].sort(([uidA, a], [uidB, b]) => b.stake - a.stake || uidA - uidB);
  const best = ranked[0];
  if (!best) return null;
  const [uid, { stake, weightsBlock }] = best;
  return {
    uid,
    hotkey: neurons.get(uid)!.hotkey,
    supportStake: stake,
    supportFraction: stake / votingStake,
    weightsBlock,
  };
}
