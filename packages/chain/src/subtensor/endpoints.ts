/**
 * @file Several nodes of one network, one connection at a time: failover, back-off, and a check of who answers.
 *
 * Requests that only read are repeated on the next node when a connection breaks. Writes are not (`once`): whoever sends
 * an extrinsic looks for it in the blocks first. A node of another network is never used.
 */

import { QuasarError, sleep } from '@quasar/base';
import {
  blockNumberOf,
  protocol,
  REQUEST_TIMEOUT_MS,
  type RequestOptions,
  RpcRefusal,
  RpcSocket,
  unreachable,
} from './socket.ts';

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 10_000;
/** How long a read looks for a node that answers before it fails. */
const READ_DEADLINE_MS = 60_000;
/** A node this many blocks behind the best one seen is left for another, where there is another. */
const MAX_LAG_BLOCKS = 5;

/** What is known of one node. */
export interface EndpointHealth {
  url: string;
  /** Since the last success. */
  failures: number;
  /** Newest best block it told; -1: never asked. */
  bestBlock: number;
  /** Behind the best block any of the nodes told. */
  lagBlocks: number;
  connected: boolean;
}

interface Endpoint {
  url: string;
  failures: number;
  bestBlock: number;
  notBeforeMs: number;
}

export interface NetworkCheck {
  /** Genesis hash that every node must have; null: whatever the first node has. */
  genesis: string | null;
  /** Name of the runtime, as `state_getRuntimeVersion` tells it; null: any. */
  specName: string | null;
}

export class Endpoints {
  readonly #endpoints: Endpoint[];
  readonly #check: NetworkCheck;
  readonly #readDeadlineMs: number;
  readonly #requestTimeoutMs: number;
  readonly #onConnect = new Set<(socket: RpcSocket) => void>();
  readonly #closing = new AbortController();
  #socket: RpcSocket | null = null;
  #connecting: Promise<RpcSocket> | null = null;
  #genesis: string | null;

  constructor(
    urls: readonly string[],
    check: NetworkCheck,
    readDeadlineMs: number = READ_DEADLINE_MS,
    requestTimeoutMs: number = REQUEST_TIMEOUT_MS,
  ) {
    if (urls.length === 0) throw new QuasarError('chain.invalid_options', 'no address of a node was given');
    for (const url of urls) {
      if (URL.canParse(url) && /^wss?:/.test(url)) continue;
      throw new QuasarError('chain.invalid_options', `${JSON.stringify(url)} is not a WebSocket address`, {
        hint: 'for example wss://entrypoint-finney.opentensor.ai:443 or ws://127.0.0.1:9944',
      });
    }
    this.#endpoints = urls.map((url) => ({ url, failures: 0, bestBlock: -1, notBeforeMs: 0 }));
    this.#check = check;
    this.#genesis = check.genesis;
    this.#readDeadlineMs = readDeadlineMs;
    this.#requestTimeoutMs = requestTimeoutMs;
  }

  /** The genesis hash every node has; known after the first connection. */
  get genesis(): string | null {
    return this.#genesis;
  }

  /** Aborts when this is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  health(): EndpointHealth[] {
    const best = Math.max(...this.#endpoints.map((endpoint) => endpoint.bestBlock));
    return this.#endpoints.map(({ url, failures, bestBlock }) => ({
      url,
      failures,
      bestBlock,
      lagBlocks: bestBlock < 0 ? 0 : best - bestBlock,
      connected: this.#socket?.url === url && this.#socket.failure === null,
    }));
  }

  /** Calls `listener` with the connection in use and with every later one. */
  onConnect(listener: (socket: RpcSocket) => void): void {
    this.#onConnect.add(listener);
    if (this.#socket && !this.#socket.failure) listener(this.#socket);
  }

  /**
   * A request that changes nothing; repeated until the deadline on whichever node answers.
   * Throws `chain.unreachable`, `chain.wrong_network`, `chain.protocol`, `RpcRefusal`.
   */
  async read(method: string, params: unknown[], options: RequestOptions = {}): Promise<unknown> {
    const giveUpAtMs = Date.now() + this.#readDeadlineMs;
    for (;;) {
      try {
        return await this.once(method, params, options);
      } catch (error) {
        const passing = error instanceof QuasarError && error.code === 'chain.unreachable';
        if (!passing || options.signal?.aborted || this.closing.aborted || Date.now() >= giveUpAtMs) throw error;
      }
    }
  }

  /** A request on the connection in use, not repeated. Connects first when there is none. */
  async once(method: string, params: unknown[], options: RequestOptions = {}): Promise<unknown> {
    const socket = await this.#connection(options.signal);
    try {
      const answer = await socket.request(method, params, { timeoutMs: this.#requestTimeoutMs, ...options });
      this.#succeeded(socket.url);
      return answer;
    } catch (error) {
      // A node that is silent on one request is left: the next request goes to another, or to it anew.
      if (error instanceof QuasarError && !options.signal?.aborted) this.#failed(socket);
      throw error;
    }
  }

  /** A new best block of the node in use. */
  sawBlock(url: string, block: number): void {
    const endpoint = this.#endpoints.find((e) => e.url === url);
    if (endpoint) endpoint.bestBlock = Math.max(endpoint.bestBlock, block);
  }

  /** Asks every node for its best block and leaves the one in use when another is well ahead. Returns whether it did. */
  async leaveLaggard(): Promise<boolean> {
    const socket = this.#socket;
    if (!socket || this.#endpoints.length < 2) return false;
    await Promise.all(this.#endpoints.map((endpoint) => this.#probe(endpoint, socket)));
    const mine = this.#endpoints.find((e) => e.url === socket.url);
    const best = Math.max(...this.#endpoints.map((endpoint) => endpoint.bestBlock));
    if (!mine || best - mine.bestBlock <= MAX_LAG_BLOCKS) return false;
    this.#failed(socket);
    return true;
  }

  close(): void {
    this.#closing.abort();
    this.#socket?.close();
    this.#onConnect.clear();
  }

  async #probe(endpoint: Endpoint, inUse: RpcSocket): Promise<void> {
    try {
      const own = endpoint.url === inUse.url;
      const socket = own ? inUse : await RpcSocket.connect(endpoint.url, { signal: this.closing });
      try {
        if (!own) await this.#verify(socket);
        const header = (await socket.request('chain_getHeader', [])) as { number?: unknown } | null;
        this.sawBlock(endpoint.url, blockNumberOf(header?.number) ?? -1);
      } finally {
        if (!own) socket.close();
      }
    } catch {
      endpoint.failures++;
    }
  }

  #connection(signal: AbortSignal | undefined): Promise<RpcSocket> {
    if (this.closing.aborted) return Promise.reject(closed());
    if (this.#socket && !this.#socket.failure) return Promise.resolve(this.#socket);
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null;
    });
    return abortable(this.#connecting, signal, this.#endpoints[0]?.url ?? '');
  }

  /** The first node that can be used, tried in order of health; one round through all of them. */
  async #connect(): Promise<RpcSocket> {
    let last: unknown = null;
    const order = [...this.#endpoints].sort((a, b) => a.failures - b.failures || b.bestBlock - a.bestBlock);
    for (const endpoint of order) {
      await sleep(endpoint.notBeforeMs - Date.now(), this.closing);
      if (this.closing.aborted) throw closed();
      let socket: RpcSocket | null = null;
      try {
        socket = await RpcSocket.connect(endpoint.url, { signal: this.closing });
        await this.#verify(socket);
        this.#socket = socket;
        for (const listener of this.#onConnect) listener(socket);
        return socket;
      } catch (error) {
        socket?.close();
        this.#penalise(endpoint);
        last = error;
      }
    }
    if (this.closing.aborted) throw closed();
    throw last;
  }

  async #verify(socket: RpcSocket): Promise<void> {
    const ask = async (method: string, params: unknown[]) => {
      try {
        return await socket.request(method, params);
      } catch (error) {
        throw error instanceof RpcRefusal ? protocol(socket.url, error.message) : error;
      }
    };
    const [genesis, version] = (await Promise.all([
      ask('chain_getBlockHash', [0]),
      ask('state_getRuntimeVersion', []),
    ])) as [unknown, { specName?: unknown } | null];
    if (typeof genesis !== 'string' || typeof version?.specName !== 'string') {
      throw protocol(socket.url, 'it tells neither a genesis block nor a runtime');
    }
    const wrong = (what: string, got: string, expected: string) =>
      new QuasarError('chain.wrong_network', `${socket.url} serves another network: ${what} ${got}, not ${expected}`, {
        hint: 'check the address and the name of the network',
      });
    if (this.#genesis !== null && genesis !== this.#genesis) throw wrong('genesis', genesis, this.#genesis);
    const { specName } = this.#check;
    if (specName !== null && version.specName !== specName) throw wrong('runtime', version.specName, specName);
    this.#genesis = genesis;
  }

  #failed(socket: RpcSocket): void {
    const endpoint = this.#endpoints.find((e) => e.url === socket.url);
    if (this.#socket === socket) this.#socket = null;
    socket.close(unreachable(socket.url, 'left after a failure'));
    if (endpoint) this.#penalise(endpoint);
  }

  #penalise(endpoint: Endpoint): void {
    const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** Math.min(endpoint.failures, 10), MAX_BACKOFF_MS);
    endpoint.failures++;
    endpoint.notBeforeMs = Date.now() + backoffMs;
  }

  #succeeded(url: string): void {
    const endpoint = this.#endpoints.find((e) => e.url === url);
    if (endpoint) Object.assign(endpoint, { failures: 0, notBeforeMs: 0 });
  }
}

function closed(): QuasarError {
  return new QuasarError('chain.closed', 'the connection to the chain was closed');
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined, url: string): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(unreachable(url, 'given up by the caller'));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
