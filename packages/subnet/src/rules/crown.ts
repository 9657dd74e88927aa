/**
 * @file Who is crowned: two gates for each challenger, then one winner among those who pass both.
 *
 * Gate 1: the paired KL test. Gate 2: crown quality (weighted mean of non-relative axes) at least 97 % of the king's,
 * above an absolute floor, over at least four axes. The composite never overrides a lost duel, and KL alone never
 * crowns. Among several winners: rank by (quality, weighted, worst, mean delta, -kl, -uid), then everybody tied with
 * the best is one cluster, and its earliest reveal wins: a swarm of noise copies gains nothing over the model it
 * copies. The rest of the cluster meets the new king in the next round. Source: subnet.md sections 11 and 13.
 */
import { areTied, type Composite, type PairedRules, type PairedTest } from '@quasar/evals';
import { byReveal, type Submission } from './submission.ts';

export interface CrownRules {
  /** Share of the king's quality that may be lost. */
  qualityTolerance: number;
  qualityFloor: number;
  minQualityAxes: number;
}

export interface DuelEntry {
  submission: Submission;
  /** Per-prompt KL up to where the duel ended: the same prompts for every entry of the round, of some fewer. */
  klPerPrompt: readonly number[];
  kl: number;
  test: PairedTest;
  composite: Composite;
}

export interface CrownGate {
  quality: number;
  kingQuality: number;
  passed: boolean;
  /** Why not, in words for the miner; empty when passed. */
  reasons: string[];
}

export interface CrownDecision {
  /** Who takes the crown; null keeps the king. */
  crowned: DuelEntry | null;
  gates: Map<string, CrownGate>;
  /** Winners tied with the crowned one: judged again next round, against the new king. */
  deferred: string[];
  /** Winners that were clearly second. */
  outranked: string[];
}

export function crownGate(composite: Composite, kingQuality: number, rules: CrownRules): CrownGate {
  const { quality, qualityAxes } = composite;
  const needed = kingQuality * (1 - rules.qualityTolerance);
  const reasons: string[] = [];
  if (!(quality >= needed))
    reasons.push(`quality ${quality.toFixed(4)} is below ${needed.toFixed(4)} (king ${kingQuality.toFixed(4)})`);
  if (!(quality >= rules.qualityFloor))
    reasons.push(`quality ${quality.toFixed(4)} is below the floor ${rules.qualityFloor}`);
  if (qualityAxes < rules.minQualityAxes)
    reasons.push(`only ${qualityAxes} usable axes, at least ${rules.minQualityAxes} are needed`);
  return { quality, kingQuality, passed: reasons.length === 0, reasons };
}

export function decideCrown(
  entries: readonly DuelEntry[],
  kingQuality: number,
  rules: CrownRules,
  pairedRules: PairedRules,
): CrownDecision {
  const gates = new Map(entries.map((e) => [e.submission.id, crownGate(e.composite, kingQuality, rules)]));
  const passers = entries.filter((e) => e.test.win && gates.get(e.submission.id)!.passed).sort(byRank);
  if (passers.length === 0) return { crowned: null, gates, deferred: [], outranked: [] };

  const cluster = tieCluster(passers, pairedRules);
  const crowned = [...cluster].sort(
    (a, b) => byReveal(a.submission, b.submission) || a.kl - b.kl || a.submission.uid - b.submission.uid,
  )[0]!;
  const ids = (list: DuelEntry[]) => list.filter((e) => e !== crowned).map((e) => e.submission.id);
  return { crowned, gates, deferred: ids(cluster), outranked: ids(passers.filter((e) => !cluster.includes(e))) };
}

/** Connected component of the graph of pairwise ties that holds the first entry. */
export function tieCluster(ranked: readonly DuelEntry[], rules: PairedRules): DuelEntry[] {
  const cluster = ranked.slice(0, 1);
  for (let i = 0; i < cluster.length; i++)
    for (const other of ranked)
      if (!cluster.includes(other) && areTiedEntries(cluster[i]!, other, rules)) cluster.push(other);
  return cluster;
}

/** On the prompts that both duels reached. */
function areTiedEntries(a: DuelEntry, b: DuelEntry, rules: PairedRules): boolean {
  const n = Math.min(a.klPerPrompt.length, b.klPerPrompt.length);
  return areTied(a.klPerPrompt.slice(0, n), b.klPerPrompt.slice(0, n), rules);
}

function byRank(a: DuelEntry, b: DuelEntry): number {
  return (
    b.composite.quality - a.composite.quality ||
    b.composite.weighted - a.composite.weighted ||
    b.composite.worst - a.composite.worst ||
    b.test.meanDelta - a.test.meanDelta ||
    a.kl - b.kl ||
    a.submission.uid - b.submission.uid
  );
}
