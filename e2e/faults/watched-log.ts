/** @file The event log of a validator as somebody else sees it while it runs: everything that was ever seen, in order. */
import { existsSync } from 'node:fs';
import { openStore, type Store, type StoredEvent } from '@quasar/store';
import { Contest } from '@quasar/subnet';

export class WatchedLog {
  readonly path: string;
  /** All that was committed when somebody looked; nothing of it may ever be missing or different again. */
  readonly seen: StoredEvent[] = [];
  /** By position in `seen`: the block at which it was there at the latest. */
  readonly seenAtBlock: number[] = [];
  readonly contest = new Contest();
  #store: Store | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** Nothing new while the disk under it is full. */
  look(): void {
    try {
      if (this.#store === null && !existsSync(this.path)) return;
      this.#store ??= openStore({ path: this.path });
      for (const event of this.#store.events({ afterSeq: this.contest.lastSeq })) {
        this.seen.push(event);
        this.contest.apply(event);
      }
    } catch {
      this.close();
    }
  }

  /** What was seen is older than this block. */
  stamp(block: number): void {
    while (this.seenAtBlock.length < this.seen.length) this.seenAtBlock.push(block);
  }

  /** The log as it is now, read from the file by a connection of its own. */
  whole(): StoredEvent[] {
    this.close();
    const store = openStore({ path: this.path });
    try {
      return store.events();
    } finally {
      store.close();
    }
  }

  get finishedRounds(): number {
    return [...this.contest.rounds.values()].filter(({ finishedAtMs }) => finishedAtMs !== null).length;
  }

  close(): void {
    this.#store?.close();
    this.#store = null;
  }
}
