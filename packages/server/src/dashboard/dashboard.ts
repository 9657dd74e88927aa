/**
 * @file The answer of `GET /api/dashboard.json`: the folded log, plus what the chain says right now.
 *
 * Each request first folds the events that came since the last one, so an answer is never older than the log.
 */
import type { Store } from '@quasar/store';
import type { Contest } from '@quasar/subnet';
import type { ChainWatch } from '../chain-watch.ts';
import type { Dashboard, Status, Submission, Weights } from '../wire.ts';
import { ContestLog, LIMITS } from './contest-log.ts';
import { duelRow, roundRow, submissionRow } from './rows.ts';

const PAGE = 1000;

export class DashboardReader {
  readonly #store: Store;
  readonly #chain: ChainWatch | null;
  readonly log = new ContestLog();

  constructor(store: Store, chain: ChainWatch | null) {
    this.#store = store;
    this.#chain = chain;
  }

  /** Folds what is new in the store. */
  catchUp(): void {
    for (;;) {
      const events = this.#store.events({ afterSeq: this.log.seq, limit: PAGE });
      for (const event of events) this.log.apply(event);
      if (events.length < PAGE) return;
    }
  }

  read(): Dashboard {
    this.catchUp();
    const { log } = this;
    const { contest, king } = log;
    const chain = this.#chain?.view() ?? null;
    const weights: Weights | null = contest.weights && {
      set_at_block: contest.weights.setAtBlock,
      set_ms: log.weightsMs,
      targets: contest.weights.weights.map((target) => ({ ...target, is_king: target.uid === king?.uid })),
    };
    return {
      seq: log.seq,
      last_event_ms: log.lastEventMs,
      generated_ms: Date.now(),
      chain,
      king,
      consensus_king: this.#chain?.consensus(log.reigns) ?? null,
      state_king_uid: king?.uid ?? null,
      status: describeStatus(log, chain?.block ?? null),
      current_eval: log.evaluation,
      submissions: newestSubmissions(contest),
      validators: this.#chain?.validators() ?? [],
      weights,
      history: log.duels.toReversed().map((duel) => duelRow(duel, contest.rounds.get(duel.data.round))),
      reigns: log.reigns.toReversed(),
      rounds: [...contest.rounds.values()].slice(-LIMITS.rounds).reverse().map(roundRow),
      events: log.feed.toReversed(),
    };
  }
}

/** Newest first, at most so many; the king's own row is always there. */
function newestSubmissions({ submissions, king }: Contest): Submission[] {
  const all = [...submissions.values()].reverse();
  return all.filter((one, index) => index < LIMITS.submissions || one.id === king?.id).map(submissionRow);
}

function describeStatus(log: ContestLog, block: number | null): Status {
  const round = [...log.contest.rounds.values()].at(-1);
  const place = {
    round: round?.round ?? null,
    start_block: round?.startBlock ?? null,
    cutoff_block: round?.cutoffBlock ?? null,
    activation_block: round?.activationBlock ?? null,
  };
  if (!round) return { mode: 'idle', label: 'Idle', detail: 'No round has started yet', ...place };
  const current = log.evaluation;
  if (current)
    return {
      mode: 'evaluating',
      label: 'Evaluating',
      detail: `${current.challenger_repo}: ${current.phase_label}, ${current.progress} of ${current.total}`,
      ...place,
    };
  if (round.finishedAtMs !== null)
    return {
      mode: 'round_wait',
      label: 'Between rounds',
      detail: `Round ${round.round} is finished`,
      ...place,
    };
  if (block !== null && block < round.activationBlock)
    return {
      mode: 'activation_wait',
      label: 'Waiting for block',
      detail: `Round ${round.round} takes effect at block ${round.activationBlock}`,
      ...place,
    };
  return { mode: 'active', label: 'Round open', detail: `Round ${round.round} is running`, ...place };
}
