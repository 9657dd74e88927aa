/**
 * @file One connection that listens for notices of the queue and comes back by itself.
 *
 * A notice that was sent while the connection was down is lost, so every waiter is woken when it is up again.
 */
import { sleep } from '@quasar/base';
import type { Client } from 'pg';

/** Content of a notice. */
export type Notice = 'work' | 'result';

const RECONNECT_MS = 500;

interface Waiter {
  what: 'work' | 'any';
  wake: () => void;
}

export class Listener {
  readonly #newClient: () => Client;
  readonly #channel: string;
  readonly #waiters = new Set<Waiter>();
  readonly #closed = new AbortController();
  #client: Client | null = null;
  readonly #running: Promise<void>;

  constructor(newClient: () => Client, channel: string) {
    this.#newClient = newClient;
    this.#channel = channel;
    this.#running = this.#listen();
  }

  /** Resolves at the first notice that concerns `what` after the call, after `timeoutMs`, on `signal` or on close. */
  next(what: 'work' | 'any', timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#closed.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timeout);
        signal.removeEventListener('abort', wake);
        this.#waiters.delete(waiter);
        resolve();
      };
      const waiter: Waiter = { what, wake };
      const timeout = setTimeout(wake, timeoutMs);
      signal.addEventListener('abort', wake, { once: true });
      this.#waiters.add(waiter);
    });
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#wake('work');
    await this.#client?.end().catch(() => {});
    await this.#running;
  }

  async #listen(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      const client = this.#newClient();
      this.#client = client;
      const broken = new Promise<void>((resolve) => {
        client.on('error', () => resolve());
        client.on('end', () => resolve());
      });
      client.on('notification', ({ payload }) => this.#wake(payload === 'work' ? 'work' : 'result'));
      try {
        await client.connect();
        await client.query(`LISTEN ${this.#channel}`);
        this.#wake('work'); // whatever came while nobody listened
        await broken;
      } catch {
        // The calls that need the database say what is wrong with it; here it is only tried again.
      }
      await client.end().catch(() => {});
      await sleep(RECONNECT_MS, this.#closed.signal);
    }
  }

  /** New work concerns everybody, a result only those who wait for anything. */
  #wake(notice: Notice): void {
    for (const waiter of [...this.#waiters]) if (notice === 'work' || waiter.what === 'any') waiter.wake();
  }
}
