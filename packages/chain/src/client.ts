/**
 * @file The chain port over HTTP: the other end of `serveChain`.
 *
 * A write whose answer was lost may or may not be in a block. It fails with `retry: 'later'`, and the same call by the same
 * hotkey sends the very same extrinsic again, which the chain applies at most once. That memory is the connection's:
 * after a restart of the caller, read the chain before repeating a write.
 */
import { canonicalJson, QuasarError } from '@quasar/base';
import { type Call, type CallMethod, type CallResults, checkCall } from './call.ts';
import { type Extrinsic, signExtrinsic } from './extrinsic.ts';
import type { Chain, Commitment, Head, Metagraph, Wallet, Weight, WeightRow } from './port.ts';
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

class ChainClient implements Chain {
  readonly #transport: Transport;
  /** Extrinsics sent without an answer, by hotkey and call. */
  readonly #unresolved = new Map<string, Extrinsic>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async head(): Promise<Head> {
    return this.#transport.request('/head');
  }

  async blockHash(block: number): Promise<string | null> {
    return (await this.#transport.request<{ hash: string | null }>(`/blocks/${segment(block)}`)).hash;
  }

  async blockTimeMs(): Promise<number> {
    return (await this.#transport.info()).blockTimeMs;
  }

  async metagraph(netuid: number): Promise<Metagraph> {
    return this.#transport.request(`/subnets/${segment(netuid)}/metagraph`);
  }

  async commitments(netuid: number, atBlock: number): Promise<Commitment[]> {
    return this.#transport.request(`/subnets/${segment(netuid)}/commitments?atBlock=${segment(atBlock)}`);
  }

  async weights(netuid: number, atBlock: number): Promise<WeightRow[]> {
    return this.#transport.request(`/subnets/${segment(netuid)}/weights?atBlock=${segment(atBlock)}`);
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
    const path = first === null ? '/head' : `/heads?after=${first - 1}&waitMs=${MAX_WAIT_MS}`;
    for (let backoffMs = FIRST_BACKOFF_MS; ; backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS)) {
      try {
        return [await this.#transport.request<Head | Head[]>(path, { signal })].flat();
      } catch (error) {
        if (signal.aborted) return [];
        if (!(error instanceof QuasarError && error.retry === 'later')) throw error;
        await sleep(backoffMs, signal);
      }
    }
  }

  async #write<M extends CallMethod>(wallet: Wallet, untrusted: Call & { method: M }): Promise<CallResults[M]> {
    const call = checkCall(untrusted);
    const key = canonicalJson({ hotkey: wallet.hotkey, call });
    let extrinsic = this.#unresolved.get(key);
    this.#unresolved.delete(key);
    for (let signings = 1; ; ) {
      if (!extrinsic) {
        const { genesis } = await this.#transport.info();
        extrinsic = signExtrinsic(wallet, call, { genesis, atBlock: (await this.head()).number });
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

/** A number as part of a URL; the server judges its value. */
function segment(value: number): string {
  return encodeURIComponent(String(value));
}
