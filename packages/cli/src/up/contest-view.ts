/** @file What the supervisor knows of the contest: the validator's event log, folded as the dashboard folds it. */
import { DashboardReader } from '@quasar/server';
import { openStore, type Store } from '@quasar/store';

export class ContestView {
  readonly #store: Store;
  readonly #reader: DashboardReader;
  #shownSeq = 0;
  #roundsFinished = 0;
  #countedSeq = 0;

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
      this.#countedSeq = event.seq;
    }
    const fresh = this.#reader.log.feed.filter((item) => item.seq > this.#shownSeq);
    this.#shownSeq = Math.max(this.#shownSeq, this.#reader.log.seq);
    return fresh.map((item) => item.text);
  }

  get roundsFinished(): number {
    return this.#roundsFinished;
  }

  dashboard() {
    return this.#reader.read();
  }

  /** Of the newest submission of a hotkey; null when the validator has seen none. */
  statusOf(hotkey: string): string | null {
    const all = [...this.#reader.log.submissions.values()].filter((one) => one.hotkey === hotkey);
    return all.at(-1)?.status ?? null;
  }

  get hasKing(): boolean {
    return this.#reader.log.king !== null;
  }

  /** Every duel ever judged, oldest first. */
  duels(): Record<string, unknown>[] {
    return this.#store.events({ types: ['duel.judged'] }).map((event) => event.data as Record<string, unknown>);
  }

  close(): void {
    this.#store.close();
  }
}
