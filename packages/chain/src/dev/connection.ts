/** @file One client of a served dev chain: its calls, its subscription, and the limits that keep it from harming others. */
import { QuasarError } from '@quasar/base';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import type { DevChain } from './dev-chain.ts';
import { errorMessage, type MessageId, notificationMessage, parseRequest, resultMessage } from './json-rpc.ts';
import { isRequest } from './requests.ts';

export interface ConnectionLimits {
  /** Calls that one client may have waiting. */
  maxWaiting: number;
  /** Bytes that one client may leave unread before it is cut off. */
  maxUnreadBytes: number;
  /** Between two signs of life that are asked of a client. */
  heartbeatMs: number;
}

const headsAfterParams = z.strictObject({ block: z.int().min(0) });
const submitParams = z.strictObject({ extrinsic: z.unknown() });

export class Connection {
  readonly #chain: DevChain;
  readonly #socket: WebSocket;
  readonly #limits: ConnectionLimits;
  readonly #heartbeat: NodeJS.Timeout;
  #waiting = 0;
  #isAlive = true;
  #subscription: AbortController | null = null;

  constructor(chain: DevChain, socket: WebSocket, limits: ConnectionLimits) {
    this.#chain = chain;
    this.#socket = socket;
    this.#limits = limits;
    this.#heartbeat = setInterval(() => this.#checkLife(), limits.heartbeatMs);
    socket.on('message', (data, isBinary) => void this.#receive(isBinary ? null : data.toString()));
    socket.on('pong', () => {
      this.#isAlive = true;
    });
    // A frame that breaks the protocol or is too large: the socket closes itself with the fitting status.
    socket.on('error', () => {});
    socket.on('close', () => {
      clearInterval(this.#heartbeat);
      this.#subscription?.abort();
    });
  }

  async #receive(text: string | null): Promise<void> {
    let id: MessageId | null = null;
    try {
      if (text === null) throw new QuasarError('chain.malformed_message', 'the message is binary; send text');
      const request = parseRequest(text);
      id = request.id;
      if (this.#waiting >= this.#limits.maxWaiting) throw tooManyCalls(this.#waiting);
      this.#waiting++;
      try {
        this.#send(resultMessage(id, await this.#call(request.method, request.params)));
      } finally {
        this.#waiting--;
      }
    } catch (error) {
      const known = error instanceof QuasarError ? error : internalError(error as Error);
      this.#send(errorMessage(id ?? (known.data as { id?: MessageId } | undefined)?.id ?? null, known));
    }
  }

  #call(method: string, params: unknown): unknown {
    if (isRequest(method)) return this.#chain.answer(method, params);
    switch (method) {
      case 'headsAfter':
        return this.#chain.nextHeads(checked(method, headsAfterParams, params).block, { waitMs: 0 });
      case 'submit':
        return this.#chain.submit(checked(method, submitParams, params).extrinsic);
      case 'subscribeHeads':
        return this.#subscribe();
      case 'unsubscribeHeads':
        return this.#unsubscribe();
    }
    throw new QuasarError('chain.unknown_method', `the chain has no method ${JSON.stringify(method.slice(0, 64))}`, {
      hint: 'use the client of the same version',
    });
  }

  async #subscribe(): Promise<true> {
    this.#subscription?.abort();
    const subscription = new AbortController();
    this.#subscription = subscription;
    const head = await this.#chain.head();
    void this.#notify(head.number - 1, subscription.signal);
    return true;
  }

  #unsubscribe(): true {
    this.#subscription?.abort();
    this.#subscription = null;
    return true;
  }

  /** The newest head whenever there is one and the client has taken the one before: a slow client gets fewer, not a queue. */
  async #notify(known: number, signal: AbortSignal): Promise<void> {
    try {
      for (let after = known; !signal.aborted; ) {
        await this.#chain.nextHeads(after, { signal });
        const head = await this.#chain.head();
        if (signal.aborted) return;
        await new Promise<void>((sent) => this.#socket.send(notificationMessage('head', head), () => sent()));
        after = head.number;
      }
    } catch {
      // The chain was closed: the server closes this connection as well.
    }
  }

  #send(text: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(text, () => {});
    if (this.#socket.bufferedAmount > this.#limits.maxUnreadBytes) this.#socket.terminate();
  }

  #checkLife(): void {
    if (!this.#isAlive) {
      this.#socket.terminate();
      return;
    }
    this.#isAlive = false;
    this.#socket.ping();
  }
}

function checked<T>(method: string, schema: z.ZodType<T>, params: unknown): T {
  const parsed = schema.safeParse(params);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `${issue.path.join('/') || 'params'}: ${issue.message}`);
  throw new QuasarError('chain.invalid_call', `${method}: ${issues.join('; ')}`);
}

function tooManyCalls(waiting: number): QuasarError {
  return new QuasarError('chain.busy', `${waiting} calls of this connection wait already`, {
    retry: 'later',
    hint: 'wait for answers before calling again',
  });
}

/** A bug of ours: the process prints it, the caller learns only that it happened. */
function internalError(error: Error): QuasarError {
  process.emitWarning(error);
  return new QuasarError('chain.internal', 'the chain failed to answer; its log has the reason', { cause: error });
}
