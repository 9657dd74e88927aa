/**
 * @file Follows the log and puts each new king on the shelf.
 *
 * The revision was prechecked by the validator before it could win; still only the three checkpoint files are
 * fetched, with a size cap, and the hub client checks every byte against its digest. A newer crown ends the
 * download of an older one. When the hub is away it is tried again; the old king answers meanwhile.
 */
import { QuasarError, sleep } from '@quasar/base';
import type { HubClient } from '@quasar/hub';
import type { Store, StoredEvent } from '@quasar/store';
import { isModelFile, type KingCrowned, type SubmissionRejected } from '@quasar/subnet';
import type { Logger } from 'pino';
import type { KingIdentity, ModelShelf } from './model-shelf.ts';
import type { TextEngine } from './text-engine.ts';

const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 60_000;

export interface KingFollowerOptions {
  store: Store;
  hub: HubClient;
  shelf: ModelShelf;
  load: (directory: string) => Promise<TextEngine>;
  maxTotalBytes: number;
  log: Logger;
}

export class KingFollower {
  readonly #options: KingFollowerOptions;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #fetching: { abort: AbortController; done: Promise<void> } | null = null;
  /** Submission that reigns. */
  #kingId: string | null = null;
  /** In the cache of the hub. */
  #held: KingIdentity | null = null;
  /** Why the newest king does not answer yet; null when it does. */
  lastError: { code: string; message: string } | null = null;

  constructor(options: KingFollowerOptions) {
    this.#options = options;
    const past = options.store.events({ types: ['king.crowned', 'submission.rejected'] });
    // Only the newest crown is worth a download, and what came after it.
    const last = past.findLastIndex((event) => event.type === 'king.crowned');
    for (const event of past.slice(Math.max(0, last))) this.#see(event);
    this.#done = this.#run(past.at(-1)?.seq ?? 0);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#fetching?.abort.abort();
    await this.#done;
    await this.#fetching?.done;
  }

  async #run(afterSeq: number): Promise<void> {
    for await (const event of this.#options.store.follow({ afterSeq, signal: this.#stop.signal })) this.#see(event);
  }

  #see({ type, data }: StoredEvent): void {
    if (type === 'king.crowned') this.#crown(data as KingCrowned);
    else if (type === 'submission.rejected' && (data as SubmissionRejected).id === this.#kingId) this.#dethrone();
  }

  /** The king's own submission was refused later on: its files are gone. Nobody reigns until the next crown. */
  #dethrone(): void {
    this.#kingId = null;
    this.#fetching?.abort.abort();
    this.#options.shelf.kingIsLoading = false;
    this.#options.shelf.removeKing();
    this.lastError = null;
  }

  #crown({ id, uid, repo, revision, crownedAtBlock }: KingCrowned): void {
    this.#kingId = id;
    this.#fetching?.abort.abort();
    const abort = new AbortController();
    this.#options.shelf.kingIsLoading = true;
    const king = { uid, repo, revision, crownedAtBlock };
    this.#fetching = { abort, done: this.#fetchUntilLoaded(king, abort.signal) };
  }

  async #fetchUntilLoaded(king: KingIdentity, signal: AbortSignal): Promise<void> {
    const { shelf, log } = this.#options;
    for (let waitMs = RETRY_MIN_MS; !signal.aborted; waitMs = Math.min(RETRY_MAX_MS, waitMs * 2)) {
      try {
        const engine = await this.#fetch(king, signal);
        if (signal.aborted) {
          engine.dispose();
          return;
        }
        shelf.putKing(engine, king);
        shelf.kingIsLoading = false;
        this.lastError = null;
        log.info({ ...king }, 'king loaded');
        return;
      } catch (error) {
        if (signal.aborted) return;
        const code = error instanceof QuasarError ? error.code : 'server.king_load_failed';
        const message = error instanceof Error ? error.message : String(error);
        this.lastError = { code, message };
        log.warn({ ...king, code, err: error, waitMs }, 'king not loaded, trying again');
        await sleep(waitMs, signal);
      }
    }
  }

  async #fetch(king: KingIdentity, signal: AbortSignal): Promise<TextEngine> {
    const { hub, load, maxTotalBytes } = this.#options;
    const listed = await hub.list(king.repo, king.revision, { signal });
    if (!listed)
      throw new QuasarError('server.king_removed', `${king.repo}@${king.revision} is no longer on the hub`, {
        hint: 'The old model answers until the validator crowns another king or the repository comes back.',
        retry: 'later',
      });
    const files = listed.filter(({ path }) => isModelFile(path));
    const engine = await load(await hub.download(king.repo, king.revision, { files, maxTotalBytes, signal }));
    // What reigned before may leave the cache.
    if (this.#held) hub.release(this.#held.repo, this.#held.revision);
    this.#held = king;
    return engine;
  }
}
