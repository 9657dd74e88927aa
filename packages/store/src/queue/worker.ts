/**
 * @file The worker: takes jobs from a lease table, keeps their leases alive, stores what the handler returns.
 *
 * It reads no clock; how long a lease lasts is measured by the drivers. While the database is away
 * (an error with `retry: 'later'`) it goes on with the jobs it has and asks again until it is back.
 */
import { sleep } from '@quasar/base';
import { isAway, RECONNECT_MS } from './away.ts';
import type { WorkOptions } from './job-queue.ts';
import type { ClaimedJob, LeaseTable } from './lease-table.ts';
import { boundedJson, toJobError } from './limits.ts';

const DEFAULT_LEASE_MS = 15_000;
const HEARTBEATS_PER_LEASE = 3;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;
/** An idle worker looks this often without any notice, should one be lost. */
const IDLE_LOOK_MS = 5000;

interface HeldJob {
  job: ClaimedJob;
  /** Aborts when the lease was lost or the worker stops. */
  abort: AbortController;
  lost: boolean;
}

export class Worker {
  readonly #table: LeaseTable;
  readonly #options: WorkOptions;
  readonly #leaseMs: number;
  /** The caller's signal, or the queue being unusable. */
  readonly #stop = new AbortController();
  #failure: unknown;
  /** By token: in the handler, being stored, or waiting to be given back. */
  readonly #held = new Map<string, HeldJob>();
  readonly #tasks = new Set<Promise<void>>();
  #handlersRunning = 0;
  #slotFreed = () => {};

  constructor(table: LeaseTable, options: WorkOptions) {
    this.#table = table;
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? DEFAULT_LEASE_MS;
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    const onAbort = () => this.#end();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) this.#end();
    const settled = new AbortController();
    const heartbeats = this.#heartbeats(settled.signal);
    try {
      while (!this.#stop.signal.aborted) await this.#takeJobs();
    } catch (error) {
      this.#end(error);
    }
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    settled.abort();
    await heartbeats;
    signal.removeEventListener('abort', onAbort);
    if (this.#failure !== undefined) throw this.#failure;
  }

  #end(failure?: unknown): void {
    this.#failure ??= failure;
    this.#stop.abort();
    for (const { abort } of this.#held.values()) abort.abort();
    this.#slotFreed();
  }

  /** Fills the free slots, or waits until there is a slot or something to put into one. */
  async #takeJobs(): Promise<void> {
    const slotFreed = new Promise<void>((resolve) => {
      this.#slotFreed = resolve;
    });
    const free = (this.#options.concurrency ?? 1) - this.#handlersRunning;
    if (free === 0) return slotFreed;
    const looked = new AbortController();
    const waiting = AbortSignal.any([looked.signal, this.#stop.signal]);
    const change = this.#table.changed('work', IDLE_LOOK_MS, waiting); // begun before looking: nothing is missed
    try {
      const jobs = await this.#table.claim(this.#options.kinds, this.#leaseMs, free);
      for (const job of jobs) this.#start(job);
      if (jobs.length === 0) await change;
    } catch (error) {
      if (!isAway(error)) throw error;
      await sleep(RECONNECT_MS, this.#stop.signal);
    } finally {
      looked.abort();
    }
  }

  #start(job: ClaimedJob): void {
    const held: HeldJob = { job, abort: new AbortController(), lost: false };
    if (this.#stop.signal.aborted) held.abort.abort();
    this.#held.set(job.token, held);
    this.#handlersRunning++;
    const task = this.#runJob(held)
      .catch((error) => this.#end(error))
      .finally(() => {
        this.#held.delete(job.token);
        this.#tasks.delete(task);
      });
    this.#tasks.add(task);
  }

  async #runJob(held: HeldJob): Promise<void> {
    const { job, abort } = held;
    const { kind, key, payload, attempt } = job;
    let store: () => Promise<boolean>;
    let retryMs = 0;
    try {
      abort.signal.throwIfAborted(); // the stop came while the job was being claimed
      const value = await this.#options.handler({ kind, key, payload, attempt }, { signal: abort.signal });
      const result = boundedJson(value ?? null, `result of ${kind} ${key}`);
      store = () => this.#table.complete(job, result);
    } catch (error) {
      if (this.#stop.signal.aborted) {
        store = () => this.#table.giveBack(job, null);
      } else if (isAway(error)) {
        retryMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempt - 1));
        store = () => this.#table.giveBack(job, toJobError(error));
      } else {
        store = () => this.#table.fail(job, toJobError(error));
      }
    } finally {
      this.#handlersRunning--;
      this.#slotFreed();
    }
    // Held through the pause: no other worker takes the job, and no clock has to be written down.
    await sleep(retryMs, abort.signal);
    await this.#store(held, store);
  }

  /** Tries until the database answers; once the worker stops, no longer than others would wait for its lease. */
  async #store(held: HeldJob, store: () => Promise<boolean>): Promise<void> {
    let giveUpAtMs = Number.POSITIVE_INFINITY;
    while (!held.lost && performance.now() < giveUpAtMs) {
      try {
        await store();
        return;
      } catch (error) {
        if (!isAway(error)) throw error;
      }
      if (this.#stop.signal.aborted) giveUpAtMs = Math.min(giveUpAtMs, performance.now() + this.#leaseMs);
      await sleep(RECONNECT_MS);
    }
  }

  async #heartbeats(settled: AbortSignal): Promise<void> {
    while (!settled.aborted) {
      try {
        const leases = () => [...this.#held.values()].map(({ job }) => job);
        for (const token of await this.#table.heartbeat(leases, this.#leaseMs)) this.#lose(token);
      } catch (error) {
        if (!isAway(error)) {
          this.#end(error);
          return;
        }
      }
      await sleep(this.#leaseMs / HEARTBEATS_PER_LEASE, settled);
    }
  }

  #lose(token: string): void {
    const held = this.#held.get(token);
    if (held === undefined) return;
    held.lost = true;
    held.abort.abort();
  }
}
