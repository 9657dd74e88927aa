/** @file What a run of `quasar up --rounds N` ends with: one JSON object, or tables for people. */
import type { Chain } from '@quasar/chain';
import { NETUID } from '../net-options.ts';
import { table } from '../ui/table.ts';
import type { ContestView } from './contest-view.ts';

/** A point of a student's held-out loss, nats per token. */
export interface LossPoint {
  step: number;
  loss: number;
}

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
  training: { miner: string; heldOut: LossPoint[] }[];
  dashboard: string;
}

export async function collectResult(options: {
  contest: ContestView;
  chain: Chain;
  validatorHotkey: string;
  training: Map<string, LossPoint[]>;
  dashboard: string;
}): Promise<UpResult> {
  const { contest, chain, validatorHotkey, training } = options;
  contest.catchUp();
  const { king, submissions } = contest.dashboard();
  const rows = await chain.weights(NETUID, (await chain.head()).number);
  return {
    king: king && {
      uid: king.uid,
      repo: king.hf_repo,
      revision: king.king_revision,
      crownedAtBlock: king.crowned_at_block,
    },
    reigns: king?.reign_number ?? 0,
    rounds: contest.roundsFinished,
    submissions: submissions.toReversed().map(({ uid, hf_repo, revision, status, notes }) => ({
      uid,
      repo: hf_repo,
      revision,
      status,
      reason: notes.map((note) => (note.hint === null ? note.message : `${note.message} (${note.hint})`)).join('; '),
    })),
    weights: rows.find((row) => row.hotkey === validatorHotkey)?.weights ?? [],
    duels: contest.duels().map((duel) => {
      const { uid, n, meanDelta, se, p, lcb, win } = duel as unknown as UpResult['duels'][number];
      return { uid, n, meanDelta, se, p, lcb, win };
    }),
    training: [...training].map(([miner, heldOut]) => ({ miner, heldOut })),
    dashboard: options.dashboard,
  };
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
    ...result.training.map(
      ({ miner, heldOut }) =>
        `held-out loss of ${miner}:\n${table(
          [
            { title: 'step', value: (point: LossPoint) => point.step },
            { title: 'nats per token', value: (point) => point.loss.toFixed(4) },
          ],
          heldOut,
        )}`,
    ),
  ];
  return parts.join('\n\n');
}
