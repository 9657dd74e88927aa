/**
 * @file The chain port over HTTP: the other end of `serveChain`.
 *
 * A write whose answer was lost may or may not be in a block. It fails with `retry: 'later'`, and the same call by the same
 * hotkey sends the very same extrinsic again, which the chain applies at most once. That memory is the connection's:
 * after a restart of the caller, read the chain before repeating a write.
 */
import { canonicalJson, QuasarError } from '@quasar/base';
import type { Chain, Head, Signer } from '../port.ts';
import { type Call, type CallMethod, type CallResults, checkCall } from './call.ts';
import { DevPort } from './dev-port.ts';
import { type Extrinsic, signExtrinsic } from './extrinsic.ts';
import { checkParams, type Request, type RequestParams, type RequestResults } from './requests.ts';
import { sleep, Transport } from './transport.ts';
import { MAX_WAIT_MS } from './wire.ts';

const WRITE_GRACE_MS = 30_000;
const MAX_SIGNINGS = 3;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;

/** @param url as `serveChain` returned it. Connects on first use; throws `chain.invalid_options` for a malformed URL. */
export function connectChain(url: string): Chain {
  return new ChainClient(new Transport(url));
}

class ChainClient extends DevPort {
  readonly #transport: Transport;
  /** Extrinsics sent without an answer, by signer and call. */
  readonly #unresolved = new Map<string, Extrinsic>();

  constructor(transport: Transport) {
    super();
    this.#transport = transport;
  }

  /** Nothing is held open between calls. */
  close(): void {}

  protected override async ask<R extends Request>(request: R, params: RequestParams[R]): Promise<RequestResults[R]> {
    const body = checkParams(request, params);
    return (await this.#transport.request<{ answer: RequestResults[R] }>(`/ask/${request}`, { body })).answer;
  }

  /** See `Chain.heads`. Goes on through connection failures with backoff, without a gap; throws only what cannot pass. */
  async *heads(signal: AbortSignal): AsyncIterable<Head> {
    let next: number | null = null;
    while (!signal.aborted) {
      for (const head of await this.#nextHeads(next, signal)) {
        if (signal.aborted) return;
        yield head;
        next = head.number + 1;
      }
    }
  }

  /** The current head when `first` is null, else heads from `first` on; empty when none came in time or on abort. */
  async #nextHeads(first: number | null, signal: AbortSignal): Promise<Head[]> {
    for (let backoffMs = FIRST_BACKOFF_MS; ; backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS)) {
      try {
        if (first === null) return [await this.head()];
        return await this.#transport.request<Head[]>(`/heads?after=${first - 1}&waitMs=${MAX_WAIT_MS}`, { signal });
      } catch (error) {
        if (signal.aborted) return [];
        if (!(error instanceof QuasarError && error.retry === 'later')) throw error;
        await sleep(backoffMs, signal);
      }
    }
  }

  protected override async send<M extends CallMethod>(
    signer: Signer,
    untrusted: Call & { method: M },
  ): Promise<CallResults[M]> {
    const call = checkCall(untrusted);
    const key = canonicalJson({ signer: signer.address, call });
    let extrinsic = this.#unresolved.get(key);
    this.#unresolved.delete(key);
    for (let signings = 1; ; ) {
      if (!extrinsic) {
        const { genesis } = await this.#transport.info();
        extrinsic = await signExtrinsic(signer, call, { genesis, atBlock: (await this.head()).number });
      }
      try {
        return await this.#send<CallResults[M]>(extrinsic);
      } catch (error) {
        const { code, retry } = error instanceof QuasarError ? error : { code: '', retry: 'never' };
        // Expired means "in no block": only then is a fresh signature safe.
        if (code !== 'chain.expired' || signings >= MAX_SIGNINGS) {
          if (retry === 'later' && code !== 'chain.too_soon') this.#unresolved.set(key, extrinsic);
          throw error;
        }
        extrinsic = undefined;
        signings++;
      }
    }
  }

  async #send<T>(extrinsic: Extrinsic): Promise<T> {
    const { blockTimeMs } = await this.#transport.info();
    return this.#transport.request('/extrinsics', { body: extrinsic, timeoutMs: WRITE_GRACE_MS + 2 * blockTimeMs });
  }
}
