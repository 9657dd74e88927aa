/**
 * @file The embedded chain: the whole chain port over one SQLite file, for development, tests and one-machine contests.
 *
 * With `blockTimeMs` > 0 a timer makes blocks; with 0 a block is made when an extrinsic arrives (all calls of the same tick
 * share it) or `advance` asks. In-process writes are signed and verified like remote ones: there is one way in, `submit`.
 * After a stop the numbers simply go on; no block is invented for the time the process was off.
 */
import { canonicalJson, QuasarError } from '@quasar/base';
import type { Head, Signer } from '../port.ts';
import { Salts } from '../salts.ts';
import { type LocalBeacon, localBeacon } from '../timelock/index.ts';
import { toRao, toTao } from './amounts.ts';
import { type Answers, answersOf } from './answers.ts';
import { Blocks, type CallResult, nonceReused } from './blocks.ts';
import type { Call, CallMethod, CallResults } from './call.ts';
import { type ChainDatabase, openDatabase } from './database.ts';
import { closedError, DevPort } from './dev-port.ts';
import { EXTRINSIC_LIFETIME_BLOCKS, type Extrinsic, signExtrinsic, verifyExtrinsic } from './extrinsic.ts';
import { Ledger } from './ledger.ts';
import { type DevChainOptions, type ResolvedOptions, resolveOptions } from './options.ts';
import { PendingPool } from './pending.ts';
import { Queries } from './queries.ts';
import { type ChainEvent, checkParams, type Request, type RequestParams, type RequestResults } from './requests.ts';
import { State } from './state.ts';

const EXTRINSICS_PER_BLOCK = 1024;
const HEADS_PER_READ = 256;
const EVENTS_PER_READ = 1000;
/** Of `advance`: fewer waits for the disk, and the process still answers in between. */
const BLOCKS_PER_TRANSACTION = 256;

export class DevChain extends DevPort {
  readonly #database: ChainDatabase;
  readonly #rules: ResolvedOptions;
  readonly #queries: Queries;
  readonly #state: State;
  readonly #blocks: Blocks;
  readonly #answers: Answers;
  readonly #pending = new PendingPool();
  readonly #waiters = new Set<() => void>();
  #localBeacon: LocalBeacon | null = null;
  #timer: NodeJS.Timeout | null = null;
  #nextBlockAtMs: number;
  #sealScheduled = false;
  #storageFails = false;
  #closed = false;

  private constructor(database: ChainDatabase, rules: ResolvedOptions) {
    super(new Salts(null));
    this.#database = database;
    this.#rules = rules;
    this.#queries = new Queries(database.sql);
    this.#state = new State(database.sql, toRao(rules.initialBalance));
    const beacon = () => this.#beacon();
    const ledger = new Ledger(this.#state, rules, beacon);
    this.#blocks = new Blocks(database.sql, this.#queries, this.#state, ledger);
    this.#answers = answersOf({
      rules,
      queries: this.#queries,
      state: this.#state,
      ledger,
      blocks: this.#blocks,
      beacon,
    });
    this.#nextBlockAtMs = performance.now();
    if (rules.blockTimeMs > 0) this.#schedule();
  }

  /** Throws `chain.invalid_options`, `chain.locked`, `chain.database_invalid`. */
  static open(options: DevChainOptions): DevChain {
    const resolved = resolveOptions(options);
    return new DevChain(openDatabase(resolved.path), resolved);
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

  /**
   * Changes rules from the next block on, until the chain is closed. Throws `chain.invalid_options`.
   * @param changes anything but the file, the pace, and what accounts begin with
   */
  configure(changes: Partial<Omit<DevChainOptions, 'path' | 'blockTimeMs' | 'initialBalance'>>): void {
    this.#assertOpen();
    const { path, blockTimeMs, initialBalance } = this.#rules;
    Object.assign(this.#rules, resolveOptions({ ...this.#rules, ...changes, path, blockTimeMs, initialBalance }));
  }

  /** What happened on a subnet after a block and left no other trace, oldest first, at most 1000. */
  events(netuid: number, afterBlock = 0): ChainEvent[] {
    return this.#queries.events(netuid, afterBlock, EVENTS_PER_READ);
  }

  /** TAO and alpha that exist: free on the accounts that were used, each of which began with `initialBalance`, and staked. */
  issuance(): { accounts: number; free: number; staked: number } {
    const { accounts, free, staked } = this.#state.issuance();
    return { accounts, free: toTao(free), staked: toTao(staked) };
  }

  /** Makes `blocks` blocks now; what is pending goes into the first. */
  async advance(blocks = 1): Promise<Head> {
    this.#assertOpen();
    if (!Number.isSafeInteger(blocks) || blocks < 0) {
      throw new QuasarError('chain.invalid_call', `blocks: expected a whole number, got ${blocks}`);
    }
    for (let left = blocks; left > 0; left -= BLOCKS_PER_TRANSACTION) {
      this.#seal(true, Math.min(left, BLOCKS_PER_TRANSACTION));
      if (left > BLOCKS_PER_TRANSACTION) await new Promise((resolve) => setImmediate(resolve));
      this.#assertOpen();
    }
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
    if (this.#rules.blockTimeMs === 0) this.#sealSoon();
    return outcome;
  }

  /** Answers a read from anywhere. Throws `chain.invalid_call` for malformed parameters. */
  async answer<R extends Request>(request: R, untrusted: unknown): Promise<RequestResults[R]> {
    this.#assertOpen();
    const params = checkParams(request, untrusted);
    return this.#answers[request](params) as RequestResults[R];
  }

  protected override ask<R extends Request>(request: R, params: RequestParams[R]): Promise<RequestResults[R]> {
    return this.answer(request, params);
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

  protected override async send<M extends CallMethod>(
    signer: Signer,
    call: Call & { method: M },
  ): Promise<CallResults[M]> {
    const at = { genesis: this.genesis, atBlock: this.#blocks.head.number };
    return (await this.submit(await signExtrinsic(signer, call, at))) as CallResults[M];
  }

  /** Its key follows from the secret of the file, so that a chain signs on after a restart. */
  #beacon(): LocalBeacon {
    this.#localBeacon ??= localBeacon(new TextEncoder().encode(`beacon/${this.#blocks.secret}`));
    return this.#localBeacon;
  }

  /** Monotonic time, so that a corrected system clock neither stalls the chain nor makes it race. */
  #schedule(): void {
    const nowMs = performance.now();
    this.#nextBlockAtMs = Math.max(this.#nextBlockAtMs + this.#rules.blockTimeMs, nowMs);
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

  #seal(allowEmpty: boolean, count = 1): void {
    const batch = this.#pending.take(EXTRINSICS_PER_BLOCK);
    if (batch.length === 0 && !allowEmpty) return;
    try {
      const { outcomes, head } = this.#blocks.seal(
        batch.map((entry) => entry.extrinsic),
        { allowEmpty, count },
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

function expired(extrinsic: Extrinsic, head: number): QuasarError {
  const window = `accepted from its block to ${EXTRINSIC_LIFETIME_BLOCKS} blocks later`;
  return new QuasarError('chain.expired', `signed at block ${extrinsic.atBlock}, the head is ${head}; ${window}`, {
    hint: 'it is in no block; sign the call again',
    data: { head },
  });
}
