/**
 * @file The embedded chain: the whole chain port over one SQLite file, for development, tests and one-machine contests.
 *
 * With `blockTimeMs` > 0 a timer makes blocks; with 0 a block is made when an extrinsic arrives (all calls of the same tick
 * share it) or `advance` asks. In-process writes are signed and verified like remote ones: there is one way in, `submit`.
 * After a stop the numbers simply go on; no block is invented for the time the process was off.
 */
import { canonicalJson, QuasarError } from '@quasar/base';
import { Blocks, type CallResult, nonceReused } from './blocks.ts';
import type { Call, CallMethod, CallResults } from './call.ts';
import { type ChainDatabase, openDatabase } from './database.ts';
import { EXTRINSIC_LIFETIME_BLOCKS, type Extrinsic, signExtrinsic, verifyExtrinsic } from './extrinsic.ts';
import { Ledger } from './ledger.ts';
import { type DevChainOptions, resolveOptions } from './options.ts';
import { PendingPool } from './pending.ts';
import type { Chain, Commitment, Head, Metagraph, Wallet, Weight, WeightRow } from './port.ts';
import { Queries } from './queries.ts';

const EXTRINSICS_PER_BLOCK = 1024;
const HEADS_PER_READ = 256;

export class DevChain implements Chain {
  readonly #database: ChainDatabase;
  readonly #queries: Queries;
  readonly #blocks: Blocks;
  readonly #blockTimeMs: number;
  readonly #pending = new PendingPool();
  readonly #waiters = new Set<() => void>();
  #timer: NodeJS.Timeout | null = null;
  #nextBlockAtMs: number;
  #sealScheduled = false;
  #storageFails = false;
  #closed = false;

  private constructor(database: ChainDatabase, queries: Queries, blocks: Blocks, blockTimeMs: number) {
    this.#database = database;
    this.#queries = queries;
    this.#blocks = blocks;
    this.#blockTimeMs = blockTimeMs;
    this.#nextBlockAtMs = performance.now();
    if (blockTimeMs > 0) this.#schedule();
  }

  /** Throws `chain.invalid_options`, `chain.locked`, `chain.database_invalid`. */
  static open(options: DevChainOptions): DevChain {
    const resolved = resolveOptions(options);
    const database = openDatabase(resolved.path);
    const queries = new Queries(database.sql, resolved.maxValidators);
    const blocks = new Blocks(database.sql, queries, new Ledger(database.sql, queries, resolved));
    return new DevChain(database, queries, blocks, resolved.blockTimeMs);
  }

  /** Stops the clock and releases the file. Waiting writes fail with `chain.closed`; they are in no block. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#pending.rejectAll(closedError());
    this.#wake();
    this.#database.close();
  }

  /** Hash of block 0: the identity of this chain. */
  get genesis(): string {
    return this.#blocks.genesis;
  }

  /** Makes `blocks` blocks now; what is pending goes into the first. */
  async advance(blocks = 1): Promise<Head> {
    this.#assertOpen();
    for (let i = checkNumber('blocks', blocks); i > 0; i--) this.#seal(true);
    return this.#blocks.head;
  }

  /** Takes a signed extrinsic from anywhere; resolves when its block is durable. The same one twice takes effect once. */
  async submit(value: unknown): Promise<CallResult> {
    this.#assertOpen();
    const extrinsic = verifyExtrinsic(value);
    if (extrinsic.genesis !== this.genesis) throw this.#wrongGenesis(extrinsic);
    const included = this.#blocks.included(extrinsic);
    if (included !== null) return included;
    const waiting = this.#pending.find(extrinsic);
    if (waiting) {
      if (canonicalJson(waiting.extrinsic.call) !== canonicalJson(extrinsic.call)) throw nonceReused(extrinsic);
      return waiting.outcome;
    }
    const age = this.#blocks.head.number - extrinsic.atBlock;
    if (age < 0 || age > EXTRINSIC_LIFETIME_BLOCKS) throw expired(extrinsic, this.#blocks.head.number);
    const outcome = this.#pending.add(extrinsic);
    if (this.#blockTimeMs === 0) this.#sealSoon();
    return outcome;
  }

  async head(): Promise<Head> {
    this.#assertOpen();
    return this.#blocks.head;
  }

  async blockHash(block: number): Promise<string | null> {
    this.#assertOpen();
    return this.#queries.hash(checkNumber('block', block));
  }

  async blockTimeMs(): Promise<number> {
    return this.#blockTimeMs;
  }

  async metagraph(netuid: number): Promise<Metagraph> {
    this.#assertOpen();
    return this.#queries.metagraph(checkNumber('netuid', netuid, 65535), this.#blocks.head.number);
  }

  async commitments(netuid: number, atBlock: number): Promise<Commitment[]> {
    this.#assertOpen();
    const block = Math.min(checkNumber('atBlock', atBlock), this.#blocks.head.number);
    return this.#queries.commitments(checkNumber('netuid', netuid, 65535), block);
  }

  async weights(netuid: number, atBlock: number): Promise<WeightRow[]> {
    this.#assertOpen();
    return this.#queries.weights(checkNumber('netuid', netuid, 65535), checkNumber('atBlock', atBlock));
  }

  async register(wallet: Wallet, netuid: number): Promise<{ uid: number }> {
    return this.#write(wallet, { method: 'register', params: { netuid } });
  }

  async addStake(wallet: Wallet, netuid: number, amount: number): Promise<void> {
    await this.#write(wallet, { method: 'addStake', params: { netuid, amount } });
  }

  async commit(wallet: Wallet, netuid: number, data: string): Promise<{ revealedAtBlock: number }> {
    return this.#write(wallet, { method: 'commit', params: { netuid, data } });
  }

  async setWeights(wallet: Wallet, netuid: number, weights: Weight[]): Promise<{ setAtBlock: number }> {
    return this.#write(wallet, { method: 'setWeights', params: { netuid, weights } });
  }

  /** See `Chain.heads`. Throws `chain.closed` when the chain is closed before the signal aborts. */
  async *heads(signal: AbortSignal): AsyncIterable<Head> {
    let next = this.#blocks.head.number;
    while (!signal.aborted) {
      for (const head of await this.nextHeads(next - 1, { signal })) {
        if (signal.aborted) return;
        yield head;
        next = head.number + 1;
      }
    }
  }

  /** Heads after block `after`, at most 256, oldest first; waits for one. Empty after `waitMs` or on abort. */
  async nextHeads(
    after: number,
    options: { signal?: AbortSignal | undefined; waitMs?: number | undefined },
  ): Promise<Head[]> {
    this.#assertOpen();
    if (after > this.#blocks.head.number) {
      throw new QuasarError('chain.invalid_call', `block ${after} is beyond the head ${this.#blocks.head.number}`);
    }
    if (after === this.#blocks.head.number) await this.#nextBlock(options);
    if (options.signal?.aborted) return [];
    this.#assertOpen();
    return this.#queries.headsAfter(after, HEADS_PER_READ);
  }

  /** Resolves on the next block, on close, on abort, or after `waitMs`. */
  #nextBlock({ signal, waitMs }: { signal?: AbortSignal | undefined; waitMs?: number | undefined }): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        this.#waiters.delete(done);
        resolve();
      };
      const timer = waitMs === undefined ? undefined : setTimeout(done, waitMs);
      this.#waiters.add(done);
      signal?.addEventListener('abort', done);
      if (signal?.aborted) done();
    });
  }

  async #write<M extends CallMethod>(wallet: Wallet, call: Call & { method: M }): Promise<CallResults[M]> {
    const at = { genesis: this.genesis, atBlock: this.#blocks.head.number };
    return (await this.submit(signExtrinsic(wallet, call, at))) as CallResults[M];
  }

  /** Monotonic time, so that a corrected system clock neither stalls the chain nor makes it race. */
  #schedule(): void {
    const nowMs = performance.now();
    this.#nextBlockAtMs = Math.max(this.#nextBlockAtMs + this.#blockTimeMs, nowMs);
    this.#timer = setTimeout(() => {
      this.#sealOnTime();
      this.#schedule();
    }, this.#nextBlockAtMs - nowMs);
  }

  /** A block that cannot be written must not end the process: the next try may work. Warns once per bad spell. */
  #sealOnTime(): void {
    try {
      this.#seal(true);
      this.#storageFails = false;
    } catch (error) {
      if (!this.#storageFails) process.emitWarning(error as Error);
      this.#storageFails = true;
    }
  }

  #sealSoon(): void {
    if (this.#sealScheduled) return;
    this.#sealScheduled = true;
    queueMicrotask(() => {
      this.#sealScheduled = false;
      try {
        this.#seal(false);
      } catch {
        // Nothing is lost silently: everybody who waits for this block has been told.
      }
      if (this.#pending.size > 0) this.#sealSoon();
    });
  }

  #seal(allowEmpty: boolean): void {
    const batch = this.#pending.take(EXTRINSICS_PER_BLOCK);
    if (batch.length === 0 && !allowEmpty) return;
    try {
      const { outcomes, head } = this.#blocks.seal(
        batch.map((entry) => entry.extrinsic),
        { allowEmpty },
      );
      batch.forEach((entry, i) => {
        const outcome = outcomes[i];
        if (outcome?.ok) entry.resolve(outcome.result);
        else entry.reject(outcome?.error);
      });
      if (head) this.#wake();
    } catch (error) {
      for (const entry of batch) entry.reject(error);
      throw error;
    }
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake();
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError();
  }

  #wrongGenesis(extrinsic: Extrinsic): QuasarError {
    return new QuasarError('chain.wrong_genesis', `signed for chain ${extrinsic.genesis}, this is ${this.genesis}`, {
      hint: 'the chain was replaced; connect again and start from its block 0',
    });
  }
}

function checkNumber(name: string, value: number, max = Number.MAX_SAFE_INTEGER): number {
  if (Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new QuasarError('chain.invalid_call', `${name}: expected an integer from 0 to ${max}, got ${value}`);
}

function closedError(): QuasarError {
  return new QuasarError('chain.closed', 'the chain is closed', { retry: 'later', hint: 'open it again' });
}

function expired(extrinsic: Extrinsic, head: number): QuasarError {
  const window = `accepted from its block to ${EXTRINSIC_LIFETIME_BLOCKS} blocks later`;
  return new QuasarError('chain.expired', `signed at block ${extrinsic.atBlock}, the head is ${head}; ${window}`, {
    hint: 'it is in no block; sign the call again',
    data: { head },
  });
}
