/** @file The state of the contest as plain JSON: for reports, `--json` output and whoever asks how it ended. */
import type { Issue } from '@quasar/base';
import type { DuelJudged } from './events.ts';
import type { Contest } from './projection.ts';
import type { Entrant, SubmissionStatus } from './rules/submission.ts';

export interface ContestSummary {
  king: (Entrant & { hotkey: string; crownedAtBlock: number; reign: number }) | null;
  weights: { targets: { uid: number; weight: number }[]; setAtBlock: number } | null;
  submissions: (Entrant & {
    id: string;
    hotkey: string;
    revealedAtBlock: number;
    status: SubmissionStatus;
    issues: Issue[];
    original: Entrant | null;
  })[];
  duels: DuelJudged[];
  rounds: { round: number; startBlock: number; candidates: number; outcome: string | null }[];
}

export function summarize(contest: Contest): ContestSummary {
  const { king, weights } = contest;
  return {
    king: king && {
      uid: king.uid,
      repo: king.repo,
      revision: king.revision,
      hotkey: king.hotkey,
      crownedAtBlock: king.crownedAtBlock,
      reign: king.reign,
    },
    weights: weights && { targets: weights.weights, setAtBlock: weights.setAtBlock },
    submissions: [...contest.submissions.values()].map((one) => ({
      id: one.id,
      uid: one.uid,
      hotkey: one.hotkey,
      repo: one.repo,
      revision: one.revision,
      revealedAtBlock: one.revealedAtBlock,
      status: one.status,
      issues: one.issues,
      original: one.original,
    })),
    duels: [...contest.rounds.values()].flatMap((round) => [...round.duels.values()]),
    rounds: [...contest.rounds.values()].map(({ round, startBlock, candidates, outcome }) => ({
      round,
      startBlock,
      candidates: candidates.length,
      outcome,
    })),
  };
}
