/**
 * @file The chain port over WebSocket: the other end of `serveChain`.
 *
 * A write whose answer was lost may or may not be in a block. It fails with `retry: 'later'`, and the same call by the same
 * hotkey sends the very same extrinsic again, which the chain applies at most once. That memory is the connection's:
 * after a restart of the caller, read the chain before repeating a write.
 */
import { canonicalJson, QuasarError, sleep } from '@quasar/base';
import type { Chain, Head, Signer } from '../port.ts';
import { Salts } from '../salts.ts';
import { type Call, type CallMethod, type CallResults, checkCall } from './call.ts';
import { DevPort } from './dev-port.ts';
import { type Extrinsic, signExtrinsic } from './extrinsic.ts';
import { Newest } from './newest.ts';
import { checkParams, type Request, type RequestParams, type RequestResults } from './requests.ts';
import { Transport } from './transport.ts';

const WRITE_GRACE_MS = 30_000;
const MAX_SIGNINGS = 3;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;

/** @param url as `serveChain` returned it. Connects on first use; throws `chain.invalid_options` for a malformed URL. `stateDirectory`: where salts of weights
 *   committed by hash are kept; without one they are lost with the process */
export function connectChain(url: string, options: { stateDirectory?: string | undefined } = {}): Chain {
  return new ChainClient(new Transport(url), new Salts(options.stateDirectory ?? null));
}

class ChainClient extends DevPort {
  readonly #transport: Transport;
  #blockTimeMs: number | null = null;
  /** Extrinsics sent without an answer, by signer and call. */
  readonly #unresolved = new Map<string, Extrinsic>();

  constructor(transport: Transport, salts: Salts) {
    super(salts);
    this.#transport = transport;
  }

  close(): void {
    this.#transport.close();
  }

  protected override async ask<R extends Request>(request: R, params: RequestParams[R]): Promise<RequestResults[R]> {
    return this.#transport.request(request, checkParams(request, params));
  }

  /** See `Chain.heads`. Goes on through connection failures with backoff, without a gap; throws only what cannot pass. */
  async *heads(signal: AbortSignal): AsyncIterable<Head> {
    const stop = new AbortController();
    const abort = () => stop.abort();
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    const newest = new Newest(stop.signal);
    const following = this.#follow(newest, stop.signal);
    try {
      for (let next: number | null = null; ; ) {
        const head = await newest.from(next ?? 0);
        if (head === null) break;
        const heads: Head[] =
          next === null || head.number === next ? [head] : await this.#headsAfter(next - 1, stop.signal);
        for (const one of heads) {
          if (signal.aborted) return;
          yield one;
          next = one.number + 1;
        }
      }
    } finally {
      stop.abort();
      signal.removeEventListener('abort', abort);
    }
    await following;
  }

  /** Keeps `newest` fed over as many connections as it takes. */
  async #follow(newest: Newest, signal: AbortSignal): Promise<void> {
    for (let backoffMs = FIRST_BACKOFF_MS; !signal.aborted; backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS)) {
      try {
        await this.#transport.follow((head) => {
          backoffMs = FIRST_BACKOFF_MS / 2;
          newest.put(head);
        }, signal);
      } catch (error) {
        if (!(error instanceof QuasarError && error.retry === 'later') || signal.aborted) return newest.fail(error);
      }
      await sleep(backoffMs, signal);
    }
  }

  async #headsAfter(block: number, signal: AbortSignal): Promise<Head[]> {
    try {
      return await this.#transport.request<Head[]>('headsAfter', { block }, { signal });
    } catch (error) {
      // None for now: the next connection brings a head, and with it another try.
      if (error instanceof QuasarError && error.retry === 'later') return [];
      throw error;
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
        const genesis = await this.#transport.genesis();
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
    this.#blockTimeMs ??= await this.blockTimeMs();
    return this.#transport.request('submit', { extrinsic }, { timeoutMs: WRITE_GRACE_MS + 2 * this.#blockTimeMs });
  }
}
