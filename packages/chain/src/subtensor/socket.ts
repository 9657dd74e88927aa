/**
 * @file One JSON-RPC 2.0 connection to a node over a WebSocket.
 *
 * Everything the other side sends is untrusted: a message is at most `MAX_MESSAGE_BYTES`, one that is no JSON-RPC ends the
 * connection, an answer nobody asked for is dropped. A socket that breaks fails every request that waits on it, once.
 */
import type { Socket } from 'node:net';
import { QuasarError } from '@quasar/base';
import WebSocket from 'ws';

/** The largest answers are metadata (about 1 MB as hex) and the metagraph of a full subnet (below 1 MB). */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const CONNECT_TIMEOUT_MS = 10_000;
export const REQUEST_TIMEOUT_MS = 30_000;
/** A connection without any answer for this long is asked for a sign of life, and ended without one. */
const PING_EVERY_MS = 20_000;

export interface RequestOptions {
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** The node understood the request and refused it. Not a `QuasarError`: what it means depends on who asked. */
export class RpcRefusal extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor(method: string, code: number, message: string, data: unknown) {
    super(`${method}: ${message}`);
    this.code = code;
    this.data = data;
  }
}

interface Waiting {
  method: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class RpcSocket {
  readonly url: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Map<string, (item: unknown) => void>();
  readonly #ended = new Set<() => void>();
  readonly #pinger: NodeJS.Timeout;
  /** Under the WebSocket: keeps the process alive only while an answer is awaited. */
  readonly #wire: Socket | null;
  #nextId = 1;
  #failure: QuasarError | null = null;
  #alive = true;

  private constructor(url: string, socket: WebSocket, wire: Socket | null) {
    this.url = url;
    this.#socket = socket;
    this.#wire = wire;
    wire?.unref();
    socket.on('message', (data: WebSocket.RawData) => this.#receive(data));
    socket.on('error', (error) => this.#end(unreachable(url, error.message)));
    socket.on('close', (code) => this.#end(unreachable(url, `the connection ended, code ${code}`)));
    socket.on('pong', () => {
      this.#alive = true;
    });
    this.#pinger = setInterval(() => {
      if (!this.#alive) return this.#end(unreachable(url, `silent for ${PING_EVERY_MS} ms`));
      this.#alive = false;
      socket.ping();
    }, PING_EVERY_MS);
    this.#pinger.unref();
  }

  /** Throws `chain.unreachable`. */
  static connect(url: string, { timeoutMs = CONNECT_TIMEOUT_MS, signal }: RequestOptions = {}): Promise<RpcSocket> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, {
        maxPayload: MAX_MESSAGE_BYTES,
        perMessageDeflate: false,
        handshakeTimeout: timeoutMs,
        followRedirects: false,
      });
      let wire: Socket | null = null;
      socket.once('upgrade', (response) => {
        wire = response.socket;
      });
      const settle = (error: Error | null) => {
        signal?.removeEventListener('abort', abort);
        socket.off('open', opened);
        if (!error) return resolve(new RpcSocket(url, socket, wire));
        socket.on('error', () => {});
        socket.terminate();
        reject(unreachable(url, error.message));
      };
      const abort = () => settle(new Error('given up by the caller'));
      const opened = () => {
        socket.off('error', settle);
        settle(null);
      };
      socket.once('error', settle);
      socket.once('open', opened);
      if (signal?.aborted) abort();
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** Null while the connection stands. */
  get failure(): QuasarError | null {
    return this.#failure;
  }

  /** Throws `RpcRefusal` when the node refuses, `chain.unreachable` or `chain.protocol` when there is no answer. */
  request(method: string, params: unknown[], options: RequestOptions = {}): Promise<unknown> {
    const { timeoutMs = REQUEST_TIMEOUT_MS, signal } = options;
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      if (signal?.aborted) return reject(unreachable(this.url, 'given up by the caller'));
      const id = this.#nextId++;
      const timer = setTimeout(
        () => settle(unreachable(this.url, `${method}: no answer in ${timeoutMs} ms`)),
        timeoutMs,
      );
      const abort = () => settle(unreachable(this.url, `${method}: given up by the caller`));
      const settle = (error: Error | null, value?: unknown) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.#waiting.delete(id);
        if (this.#waiting.size === 0) this.#wire?.unref();
        if (error) reject(error);
        else resolve(value);
      };
      this.#wire?.ref();
      this.#waiting.set(id, { method, resolve: (value) => settle(null, value), reject: (error) => settle(error) });
      signal?.addEventListener('abort', abort, { once: true });
      this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }), (error) => {
        if (error) settle(unreachable(this.url, error.message));
      });
    });
  }

  /** Calls `listener` with every notification of the subscription that `method` opens, until the connection ends. */
  async subscribe(method: string, listener: (item: unknown) => void): Promise<void> {
    const id = await this.request(method, []);
    if (!isScalar(id)) throw protocol(this.url, `${method}: no subscription id`);
    this.#listeners.set(String(id), listener);
  }

  /** Runs once when the connection ends; at once when it has. */
  onEnd(listener: () => void): void {
    if (this.#failure) listener();
    else this.#ended.add(listener);
  }

  /** @param why what requests that still wait fail with; default `chain.closed` */
  close(why?: QuasarError): void {
    this.#end(why ?? new QuasarError('chain.closed', `the connection to ${this.url} was closed`));
  }

  #receive(data: WebSocket.RawData): void {
    this.#alive = true;
    const message = parsed(data);
    if (message === null) {
      this.#end(protocol(this.url, 'an answer is no JSON-RPC'));
      return;
    }
    const { id, result, error, params } = message;
    if (id === undefined || id === null) {
      const { subscription, result: item } = (params ?? {}) as Record<string, unknown>;
      if (isScalar(subscription)) this.#listeners.get(String(subscription))?.(item);
      return;
    }
    const waiting = typeof id === 'number' ? this.#waiting.get(id) : undefined;
    if (!waiting) return;
    if (error !== undefined && error !== null) waiting.reject(refusal(this.url, waiting.method, error));
    else if (result === undefined) waiting.reject(protocol(this.url, `${waiting.method}: neither result nor error`));
    else waiting.resolve(result);
  }

  #end(failure: QuasarError): void {
    if (this.#failure) return;
    this.#failure = failure;
    clearInterval(this.#pinger);
    this.#socket.terminate();
    for (const waiting of [...this.#waiting.values()]) waiting.reject(failure);
    this.#listeners.clear();
    for (const listener of this.#ended) listener();
    this.#ended.clear();
  }
}

/** Only these turn into text and numbers without running what the other side sent. */
function isScalar(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}

/** A block number as nodes write it, hex or decimal; null: none. */
export function blockNumberOf(value: unknown): number | null {
  const number = isScalar(value) && value !== '' ? Number(value) : -1;
  return Number.isSafeInteger(number) && number >= 0 ? number : null;
}

export function isHex(value: unknown): value is string {
  return typeof value === 'string' && value.length % 2 === 0 && /^0x[0-9a-f]*$/i.test(value);
}

/** An answer that is not what was asked for. */
export function garbled(what: string): QuasarError {
  return new QuasarError('chain.protocol', `the node's answer for ${what} is malformed`, {
    hint: 'another node of the same network may answer better',
  });
}

function parsed(data: WebSocket.RawData): Record<string, unknown> | null {
  try {
    const message: unknown = JSON.parse(String(data));
    return typeof message === 'object' && message !== null ? (message as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function refusal(url: string, method: string, error: unknown): Error {
  const { code, message, data } = error as { code?: unknown; message?: unknown; data?: unknown };
  if (typeof code !== 'number' || typeof message !== 'string') {
    return protocol(url, `${method}: a malformed error`);
  }
  return new RpcRefusal(method, code, message.slice(0, 500), data);
}

export function unreachable(url: string, why: string): QuasarError {
  return new QuasarError('chain.unreachable', `no answer from the node at ${url} (${why})`, {
    hint: 'is the address right and the node running? a write that was on its way may or may not be in a block',
    retry: 'later',
  });
}

export function protocol(url: string, why: string): QuasarError {
  return new QuasarError('chain.protocol', `what answers at ${url} is no Substrate node: ${why}`, {
    hint: 'check the address; another node of the same network may do better',
  });
}
