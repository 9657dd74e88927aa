/**
 * @file Who takes part in a round: frozen from the chain at the cutoff block, the same for every validator.
 *
 * The latest reveal per hotkey at or before the cutoff; one evaluation per commitment; first revealed, first served,
 * five per round; within a sliding window at most two evaluations per hotkey and two per hub owner. What does not fit
 * stays pending. Source: subnet.md section 6.
 */
import type { StaleRules } from './stale.ts';
import { byReveal, ownerOf, type Submission } from './submission.ts';

export interface CandidateRules {
  maxPerRound: number;
  /** Length of the sliding window that the two limits below count in. */
  rateWindowBlocks: number;
  maxPerHotkey: number;
  maxPerOwner: number;
  stale: StaleRules;
}

/** An evaluation that was already spent. */
export interface PastEvaluation {
  hotkey: string;
  repo: string;
  /** Start block of the round that evaluated it. */
  atBlock: number;
}

export interface FreezeInput {
  submissions: readonly Submission[];
  cutoffBlock: number;
  /** Hotkeys in the metagraph with their present uid. */
  registered: ReadonlyMap<string, number>;
  /** Ids with a final verdict: king, dethroned, lost, or refused. */
  decided: ReadonlySet<string>;
  evaluations: readonly PastEvaluation[];
  /** Ids of stale submissions that are not asked for in this round: see `stale.ts`. */
  resting: ReadonlySet<string>;
}

export type WaitingReason =
  | 'candidates.after_cutoff'
  | 'candidates.not_registered'
  | 'candidates.stale'
  | 'candidates.hotkey_rate'
  | 'candidates.owner_rate'
  | 'candidates.round_full';

export interface FrozenCandidates {
  candidates: Submission[];
  /** Not in this round, still in the contest. */
  waiting: { id: string; reason: WaitingReason }[];
  /** Replaced by a newer commitment of the same hotkey before anybody judged them. */
  superseded: { id: string; by: string }[];
}

export function freezeCandidates(input: FreezeInput, rules: CandidateRules): FrozenCandidates {
  const { cutoffBlock, registered, decided } = input;
  const result: FrozenCandidates = { candidates: [], waiting: [], superseded: [] };
  const wait = (id: string, reason: WaitingReason) => result.waiting.push({ id, reason });

  const latest = new Map<string, Submission>();
  for (const one of [...input.submissions].sort(byReveal)) {
    if (one.revealedAtBlock === null || one.revealedAtBlock > cutoffBlock) {
      if (!decided.has(one.id)) wait(one.id, 'candidates.after_cutoff');
      continue;
    }
    const older = latest.get(one.hotkey);
    if (older && !decided.has(older.id)) result.superseded.push({ id: older.id, by: one.id });
    latest.set(one.hotkey, one);
  }

  const windowStart = cutoffBlock - rules.rateWindowBlocks;
  const recent = input.evaluations.filter(({ atBlock }) => atBlock > windowStart);
  const spentByHotkey = countBy(recent, ({ hotkey }) => hotkey);
  const spentByOwner = countBy(recent, ({ repo }) => ownerOf(repo));

  for (const one of [...latest.values()].sort(byReveal)) {
    if (decided.has(one.id)) continue;
    const uid = registered.get(one.hotkey);
    const owner = ownerOf(one.repo);
    if (uid === undefined) wait(one.id, 'candidates.not_registered');
    else if (input.resting.has(one.id)) wait(one.id, 'candidates.stale');
    else if ((spentByHotkey.get(one.hotkey) ?? 0) >= rules.maxPerHotkey) wait(one.id, 'candidates.hotkey_rate');
    else if ((spentByOwner.get(owner) ?? 0) >= rules.maxPerOwner) wait(one.id, 'candidates.owner_rate');
    else if (result.candidates.length >= rules.maxPerRound) wait(one.id, 'candidates.round_full');
    else {
      result.candidates.push({ ...one, uid });
      spentByOwner.set(owner, (spentByOwner.get(owner) ?? 0) + 1);
    }
  }
  return result;
}

/** The `count` of `judged` whose turn it is in this round, so that all come up again in the end. */
export function judgedInTurn<T>(judged: readonly T[], round: number, count: number): T[] {
  const first = judged.length === 0 ? 0 : (round * count) % judged.length;
  return Array.from({ length: Math.min(count, judged.length) }, (_, i) => judged[(first + i) % judged.length]!);
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
  return counts;
}
