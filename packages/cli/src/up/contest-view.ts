/** @file What the supervisor knows of the contest: the validator's event log, folded as the validator folds it. */
import { DashboardReader } from '@quasar/server';
import { openStore, type Store } from '@quasar/store';
import { type Contest, type ContestSummary, LOCAL, summarize } from '@quasar/subnet';

export class ContestView {
  readonly #store: Store;
  readonly #reader: DashboardReader;
  #shownSeq: number;
  #finishedAtBlock: number | null = null;
  #roundsFinished = 0;
  #countedSeq = 0;

  /** Events that are in the log already are not shown again. */
  constructor(contestFile: string) {
    this.#store = openStore({ path: contestFile });
    this.#reader = new DashboardReader(this.#store, null);
    this.#shownSeq = this.#store.lastSeq();
  }

  /** Folds what is new and returns it as lines for people, oldest first. */
  catchUp(): string[] {
    this.#reader.catchUp();
    for (const event of this.#store.events({ afterSeq: this.#countedSeq, types: ['round.finished'] })) {
      this.#roundsFinished++;
      this.#finishedAtBlock = (event.data as { atBlock: number }).atBlock;
      this.#countedSeq = event.seq;
    }
    const fresh = this.#reader.log.feed.filter((item) => item.seq > this.#shownSeq);
    this.#shownSeq = Math.max(this.#shownSeq, this.#reader.log.seq);
    return fresh.map((item) => item.text);
  }

  get lastSeq(): number {
    return this.#contest.lastSeq;
  }

  get roundsFinished(): number {
    return this.#roundsFinished;
  }

  /** Rounds that went by without a candidate since the last one that had some; they leave no event. */
  emptyRounds(head: number): number {
    if (this.#contest.openRound || this.#finishedAtBlock === null) return 0;
    return Math.floor((head - this.#finishedAtBlock) / LOCAL.round.blocks);
  }

  get hasKing(): boolean {
    return this.#contest.king !== null;
  }

  /** The weights on chain pay the present king; they follow a crown within a block or two. */
  get weightsFollowKing(): boolean {
    const { king, weights } = this.#contest;
    return king === null || (weights?.weights.some(({ uid, weight }) => uid === king.uid && weight > 0.5) ?? false);
  }

  get reigns(): number {
    return this.#contest.reigns.length;
  }

  /** Of the newest submission of a hotkey; null when the validator has seen none. */
  statusOf(hotkey: string): string | null {
    const all = [...this.#contest.submissions.values()].filter((one) => one.hotkey === hotkey);
    return all.at(-1)?.status ?? null;
  }

  /** What the validator does now, and who reigns: one line each. */
  status(): { validator: string; king: string } {
    const { status, king } = this.#reader.read();
    const measured = king?.last_measured;
    return {
      validator: status.detail,
      king:
        king === null
          ? 'no king yet'
          : `king uid ${king.uid}, reign ${king.reign_number}${measured ? `, measured again in round ${measured.round}` : ''}`,
    };
  }

  summary(): ContestSummary {
    return summarize(this.#contest);
  }

  close(): void {
    this.#store.close();
  }

  get #contest(): Contest {
    return this.#reader.log.contest;
  }
}
