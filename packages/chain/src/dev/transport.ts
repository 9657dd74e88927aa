/** @file One WebSocket to a served dev chain, opened when needed and again when lost: calls out, answers and heads in. */
import type { Socket } from 'node:net';
import { QuasarError, sleep } from '@quasar/base';
import { WebSocket } from 'ws';
import type { Head } from '../port.ts';
import { closedError } from './dev-port.ts';
import { parseReply, requestMessage } from './json-rpc.ts';

/** Pauses before the second and third attempt. */
const RETRY_PAUSES_MS = [100, 300];
const TIMEOUT_MS = 30_000;
const OPEN_TIMEOUT_MS = 5_000;
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

export interface RequestOptions {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

interface Call {
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

interface Link {
  socket: WebSocket;
  calls: Map<number, Call>;
  /** Called with each head of the subscription. */
  followers: Set<(head: Head) => void>;
  /** Aborted when the connection is lost. */
  lost: AbortController;
  /** Under the WebSocket, once it is open. */
  wire: Socket | null;
  /** Waiting calls and followers: while there are none the connection keeps nobody's process alive. */
  holds: number;
}

export class Transport {
  readonly url: string;
  #genesis: string | null = null;
  #link: Promise<Link> | null = null;
  #socket: WebSocket | null = null;
  #nextId = 1;
  #closed = false;

  constructor(url: string) {
    if (!URL.canParse(url) || !/^wss?:$/.test(new URL(url).protocol)) {
      throw new QuasarError('chain.invalid_options', `the chain address ${JSON.stringify(url)} is not a ws URL`, {
        hint: 'for example ws://127.0.0.1:2426',
      });
    }
    this.url = url;
  }

  /**
   * Throws `chain.unreachable` (retry later) after three attempts, `chain.wrong_genesis` when another chain answers than
   * before, `chain.protocol` when something answers that is no chain, or the server's error.
   */
  async request<T>(method: string, params: unknown, options: RequestOptions = {}): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return (await this.#call(await this.#connected(), method, params, options)) as T;
      } catch (error) {
        const pauseMs = RETRY_PAUSES_MS[attempt];
        const transient = error instanceof QuasarError && error.code === 'chain.unreachable';
        if (!transient || pauseMs === undefined || options.signal?.aborted) throw error;
        await sleep(pauseMs, options.signal);
      }
    }
  }

  /** The genesis hash of the chain at the other end. */
  async genesis(): Promise<string> {
    await this.#connected();
    return this.#genesis as string;
  }

  /** Calls `onHead` with the newest head now and whenever there is one, until aborted or the connection is lost. */
  async follow(onHead: (head: Head) => void, signal: AbortSignal): Promise<void> {
    const link = await this.#connected();
    const follower = (head: Head) => onHead(head);
    const release = this.#hold(link);
    link.followers.add(follower);
    try {
      await this.#call(link, 'subscribeHeads', {}, { signal });
      await aborted(AbortSignal.any([signal, link.lost.signal]));
    } finally {
      link.followers.delete(follower);
      if (link.followers.size === 0 && !link.lost.signal.aborted) {
        void this.#call(link, 'unsubscribeHeads', {}, {}).catch(() => {});
      }
      release();
    }
  }

  /** Waiting calls fail with `chain.closed`. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#socket?.terminate();
  }

  #connected(): Promise<Link> {
    if (this.#closed) return Promise.reject(closedError());
    if (this.#link) return this.#link;
    const link = this.#open();
    this.#link = link;
    const forget = () => {
      if (this.#link === link) this.#link = null;
    };
    link.then(({ lost }) => lost.signal.addEventListener('abort', forget, { once: true }), forget);
    return link;
  }

  async #open(): Promise<Link> {
    const socket = new WebSocket(this.url, {
      handshakeTimeout: OPEN_TIMEOUT_MS,
      maxPayload: MAX_MESSAGE_BYTES,
      perMessageDeflate: false,
    });
    this.#socket = socket;
    const link: Link = {
      socket,
      calls: new Map(),
      followers: new Set(),
      lost: new AbortController(),
      wire: null,
      holds: 0,
    };
    let failure: Error | null = null;
    socket.on('error', (error) => {
      failure ??= error;
    });
    socket.on('message', (data) => this.#receive(link, data.toString()));
    socket.on('close', () => this.#lose(link, this.#closed ? closedError() : this.#unreachable(failure)));
    socket.on('upgrade', ({ socket: wire }) => {
      link.wire = wire;
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('unexpected-response', (_, response) => {
        failure = new Error(`HTTP ${response.statusCode}`);
        socket.terminate();
        if ((response.statusCode ?? 0) < 500) reject(this.#protocolError(`answered HTTP ${response.statusCode}`));
      });
      link.lost.signal.addEventListener('abort', () => reject(link.lost.signal.reason));
    });
    try {
      await this.#greet(link);
    } catch (error) {
      socket.terminate();
      throw error;
    }
    return link;
  }

  async #greet(link: Link): Promise<void> {
    const identity = await this.#call(link, 'identity', {}, { timeoutMs: OPEN_TIMEOUT_MS });
    const { genesis, specName } = (identity ?? {}) as { genesis?: unknown; specName?: unknown };
    if (typeof genesis !== 'string' || specName !== 'quasar-dev') {
      throw this.#protocolError('is no development chain');
    }
    this.#genesis ??= genesis;
    if (genesis === this.#genesis) return;
    throw new QuasarError('chain.wrong_genesis', `${this.url} now serves chain ${genesis}, before ${this.#genesis}`, {
      hint: 'the chain was replaced; connect again and start from its block 0',
    });
  }

  async #call(link: Link, method: string, params: unknown, options: RequestOptions): Promise<unknown> {
    const { signal, timeoutMs = TIMEOUT_MS } = options;
    const id = this.#nextId++;
    const release = this.#hold(link);
    let stop = () => {};
    try {
      return await new Promise<unknown>((resolve, reject) => {
        link.calls.set(id, { resolve, reject });
        const abort = () => reject(this.#unreachable(new Error('aborted')));
        const timer = setTimeout(
          () => reject(this.#unreachable(new Error(`no answer for ${timeoutMs} ms`))),
          timeoutMs,
        );
        signal?.addEventListener('abort', abort);
        stop = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
        };
        if (signal?.aborted) return abort();
        if (link.lost.signal.aborted) return reject(link.lost.signal.reason);
        link.socket.send(requestMessage(id, method, params), (error) => error && reject(this.#unreachable(error)));
      });
    } finally {
      stop();
      link.calls.delete(id);
      release();
    }
  }

  #receive(link: Link, text: string): void {
    const reply = parseReply(text);
    if (reply === null || (reply.kind === 'error' && reply.id === null)) {
      this.#lose(link, reply ? reply.error : this.#protocolError('sent something that is no JSON-RPC'));
      return;
    }
    if (reply.kind === 'notification') {
      const head = reply.params as Head;
      if (reply.method === 'head' && typeof head?.number === 'number') {
        for (const follower of link.followers) follower(head);
      }
      return;
    }
    const call = link.calls.get(reply.id as number);
    if (reply.kind === 'result') call?.resolve(reply.result);
    else call?.reject(reply.error);
  }

  #lose(link: Link, why: QuasarError): void {
    if (link.lost.signal.aborted) return;
    link.lost.abort(why);
    link.socket.terminate();
    for (const call of link.calls.values()) call.reject(why);
  }

  /** Keeps the process alive until released. */
  #hold(link: Link): () => void {
    link.holds++;
    link.wire?.ref();
    return () => {
      if (--link.holds === 0) link.wire?.unref();
    };
  }

  #unreachable(cause: unknown): QuasarError {
    const { code, message } = (cause ?? {}) as { code?: string; message?: string };
    return new QuasarError(
      'chain.unreachable',
      `no answer from the chain at ${this.url} (${code ?? message ?? 'connection lost'})`,
      { hint: 'is it running at this address?', retry: 'later', cause },
    );
  }

  #protocolError(why: string): QuasarError {
    return new QuasarError('chain.protocol', `${this.url} ${why}`, {
      hint: 'check the address: another program seems to listen there',
    });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
