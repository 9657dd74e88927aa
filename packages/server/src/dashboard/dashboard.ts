/**
 * @file The answer of `GET /api/dashboard.json`: the folded log, plus what the chain says right now.
 *
 * Each request first folds the events that came since the last one, so an answer is never older than the log.
 */
import type { Store } from '@quasar/store';
import type { ChainWatch } from '../chain-watch.ts';
import type { Dashboard, Status, Weights } from '../wire.ts';
import { ContestLog } from './contest-log.ts';

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
    const log = this.log;
    const chain = this.#chain?.view() ?? null;
    const king = log.king;
    const weights: Weights | null =
      log.weights.targets.length === 0
        ? null
        : { ...log.weights, targets: log.weights.targets.map((t) => ({ ...t, is_king: t.uid === king?.uid })) };
    return {
      seq: log.seq,
      last_event_ms: log.lastEventMs,
      generated_ms: Date.now(),
      chain,
      king,
      consensus_king: this.#chain?.consensus(log.reigns) ?? null,
      state_king_uid: king?.uid ?? null,
      status: describeStatus(log, chain?.block ?? null),
      current_eval: log.currentEval && withoutId(log.currentEval),
      submissions: [...log.submissions.values()].reverse(),
      validators: this.#chain?.validators() ?? [],
      weights,
      history: log.duels.toReversed().map((duel) => ({
        ...duel,
        composite: log.compositeOf(duel.challenger_repo, duel.revision, duel.seq),
        king_composite: log.compositeOf(duel.king.hf_repo, duel.king.revision, duel.seq),
      })),
      reigns: log.reigns.toReversed(),
      rounds: log.rounds.toReversed(),
      events: log.feed.toReversed(),
    };
  }
}

function withoutId<T extends { id: string }>({ id: _, ...rest }: T): Omit<T, 'id'> {
  return rest;
}

function describeStatus(log: ContestLog, block: number | null): Status {
  const round = log.rounds.at(-1) ?? null;
  const place = {
    round: round?.round ?? null,
    start_block: round?.start_block ?? null,
    cutoff_block: round?.cutoff_block ?? null,
    activation_block: round?.activation_block ?? null,
  };
  if (!round) return { mode: 'idle', label: 'Idle', detail: 'No round has started yet', ...place };
  const current = log.currentEval;
  if (current)
    return {
      mode: 'evaluating',
      label: 'Evaluating',
      detail: `uid ${current.uid}: ${current.phase_label} ${current.progress} of ${current.total}`,
      ...place,
    };
  if (round.finished_ms !== null)
    return {
      mode: 'round_wait',
      label: 'Between rounds',
      detail: `Round ${round.round} finished${round.outcome ? `: ${round.outcome.replaceAll('_', ' ')}` : ''}`,
      ...place,
    };
  if (round.activation_block !== null && block !== null && block < round.activation_block)
    return {
      mode: 'activation_wait',
      label: 'Waiting for block',
      detail: `Round ${round.round} takes effect at block ${round.activation_block}`,
      ...place,
    };
  return { mode: 'active', label: 'Round open', detail: `Round ${round.round} is running`, ...place };
}
