/**
 * @file Which uid the network pays: the incumbent that every coordinated validator duels against.
 *
 * King = argmax over uids of the stake-weighted on-chain weight at the round's start block, rows of permitted
 * validators only; ties go to the lower uid. Source: subnet.md section 7.
 *
 * Weights follow a verdict late: by a block, by an epoch when they are hidden, by hours when their validator was down.
 * A row from before the own newest crown cannot know of it, so it does not speak against it; nor does one that names a
 * king of before that, until nobody can still be busy with the round of the crown. The own vote is the verdict of the
 * own log, whatever row is still on chain. Otherwise a validator that is late would undo the crown of the others.
 */
import { fractions, type Metagraph, upscaleToU16, type Weight, type WeightRow } from '@quasar/chain';

export interface ChainKing {
  uid: number;
  hotkey: string;
  /** Stake behind it, and its fraction of all stake that voted. */
  supportStake: number;
  supportFraction: number;
  /** Block of the newest row that names it. */
  weightsBlock: number;
}

/** What a validator with a king of its own brings along. */
export interface OwnVote {
  /** The validator. */
  hotkey: string;
  /** What it sets, or is about to set. */
  weights: readonly Weight[];
  /** From which block on the rows of others can know of its king. */
  sinceBlock: number;
  /** Hotkeys of the kings it has seen dethroned. */
  former: ReadonlySet<string>;
  /** Until this block a row that names one of them is late, not of another opinion. */
  patientUntilBlock: number;
}

/** The king by stake, as a validator with a verdict of its own counts. Null when it has no vote and nobody else voted. */
export function coordinatedKing(rows: readonly WeightRow[], metagraph: Metagraph, own: OwnVote): ChainKing | null {
  const { hotkey, sinceBlock, former, patientUntilBlock } = own;
  const self = metagraph.neurons.find((neuron) => neuron.hotkey === hotkey);
  const isLate = (row: WeightRow) =>
    row.setAtBlock < sinceBlock || (row.setAtBlock <= patientUntilBlock && former.has(choiceOf(row, metagraph)));
  const others = rows.filter((row) => row.hotkey !== hotkey && !isLate(row));
  if (!self) return chainKing(others, metagraph);
  const vote = { validatorUid: self.uid, hotkey, setAtBlock: metagraph.atBlock, weights: asOnChain(own.weights) };
  return chainKing([...others, vote], metagraph);
}

/** Whom a row pays most. */
function choiceOf({ weights }: WeightRow, { neurons }: Metagraph): string {
  const [first] = [...weights].sort((a, b) => b.weight - a.weight || a.uid - b.uid);
  return neurons.find(({ uid }) => uid === first?.uid)?.hotkey ?? '';
}

/** With the rounding of the chain, so that two validators of equal stake see the same tie from both sides. */
function asOnChain(weights: readonly Weight[]): Weight[] {
  const shares = fractions(upscaleToU16(weights.map(({ weight }) => weight)));
  return weights.map(({ uid }, i) => ({ uid, weight: shares[i]! }));
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
