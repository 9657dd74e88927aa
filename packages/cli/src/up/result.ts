/** @file What a run of `quasar up --rounds N` ends with: one JSON object, or tables for people. */
import type { Issue } from '@quasar/base';
import type { Chain } from '@quasar/chain';
import type { Evaluation } from '@quasar/train';
import { NETUID } from '../net-options.ts';
import { lossTable } from '../ui/loss-table.ts';
import { table } from '../ui/table.ts';
import type { ContestView } from './contest-view.ts';

export interface UpResult {
  king: { uid: number; repo: string; revision: string; crownedAtBlock: number } | null;
  reigns: number;
  rounds: number;
  submissions: { uid: number; repo: string; revision: string; status: string; reason: string }[];
  /** The row of the validator as the chain holds it. */
  weights: { uid: number; weight: number }[];
  duels: {
    uid: number;
    n: number;
    meanDelta: number;
    se: number;
    p: number;
    lcb: number;
    win: boolean;
  }[];
  /** Held-out losses of the scripted miners, nats per token. */
  training: { miner: string; curve: Evaluation[] }[];
  dashboard: string;
}

export async function collectResult(options: {
  contest: ContestView;
  chain: Chain;
  validatorHotkey: string;
  rounds: number;
  training: UpResult['training'];
  dashboard: string;
}): Promise<UpResult> {
  const { contest, chain, validatorHotkey, training } = options;
  contest.catchUp();
  const { king, submissions, duels } = contest.summary();
  const rows = await chain.weights(NETUID, (await chain.head()).number);
  return {
    king: king && { uid: king.uid, repo: king.repo, revision: king.revision, crownedAtBlock: king.crownedAtBlock },
    reigns: contest.reigns,
    rounds: options.rounds,
    submissions: submissions.map(({ uid, repo, revision, status, issues }) => ({
      uid,
      repo,
      revision,
      status,
      reason: issues.map(describeIssue).join('; '),
    })),
    weights: (rows.find((row) => row.hotkey === validatorHotkey)?.weights ?? []).map(asShare),
    duels: duels.map(({ uid, n, meanDelta, se, p, lcb, win }) => ({ uid, n, meanDelta, se, p, lcb, win })),
    training,
    dashboard: options.dashboard,
  };
}

/** The chain keeps 16 bits of a weight: what is beyond the fourth decimal is its rounding, not anybody's choice. */
function asShare({ uid, weight }: { uid: number; weight: number }): { uid: number; weight: number } {
  return { uid, weight: Math.round(weight * 1e4) / 1e4 };
}

/** Where, what, and what to do about it. */
function describeIssue({ path, message, hint }: Issue): string {
  return `${path === undefined ? '' : `${path}: `}${message}${hint === undefined ? '' : ` (${hint})`}`;
}

export function describeResult(result: UpResult): string {
  const { king } = result;
  const number = (value: number) => value.toPrecision(3);
  const parts = [
    king === null
      ? `no king after ${result.rounds} rounds`
      : `king: uid ${king.uid}, ${king.repo}@${king.revision.slice(0, 12)}, crowned at block ${king.crownedAtBlock}, ` +
        `reign ${result.reigns}, after ${result.rounds} rounds`,
    table(
      [
        { title: 'uid', value: (row) => row.uid },
        { title: 'repo', value: (row) => row.repo },
        { title: 'status', value: (row) => row.status },
        { title: 'reason', value: (row) => row.reason },
      ],
      result.submissions,
    ),
    table(
      [
        { title: 'duel uid', value: (row) => row.uid },
        { title: 'n', value: (row) => row.n },
        { title: 'mean delta', value: (row) => number(row.meanDelta) },
        { title: 'se', value: (row) => number(row.se) },
        { title: 'p', value: (row) => number(row.p) },
        { title: 'lcb', value: (row) => number(row.lcb) },
        { title: 'win', value: (row) => (row.win ? 'yes' : 'no') },
      ],
      result.duels,
    ),
    `weights on chain: ${result.weights.map(({ uid, weight }) => `uid ${uid} ${weight.toFixed(2)}`).join(', ')}`,
    ...result.training.map(({ miner, curve }) => `training of ${miner}:\n${lossTable(curve)}`),
  ];
  return parts.join('\n\n');
}
