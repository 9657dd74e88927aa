/**
 * @file GET for answers nobody vouches for.
 *
 * No compressed answers (a few bytes could become gigabytes). Redirects are followed by hand: every hop must be the
 * hub itself or, for huggingface.co, its storage hosts over https, and every address a name leads to must be public, so a
 * hub cannot point us into our own network (only a hub that is itself given as http:// or in digits may be there); the
 * token goes to the hub's origin only. Bodies come through the meter.
 */
import { QuasarError } from '@quasar/base';
import { checkedLookup, checkLiteral, isLiteralHost, type Resolve } from './addresses.ts';
import { cancelled, protocol, refusal, unreachable } from './failures.ts';
import type { HubLimits } from './limits.ts';
import { metered } from './meter.ts';
import { type PlainAnswer, plainGet } from './plain-get.ts';

export interface GuardedRequest {
  headers?: Record<string, string>;
  /** For messages. */
  what: string;
  signal?: AbortSignal | undefined;
}

export interface GuardedAnswer {
  status: number;
  headers: Headers;
  /** The body, metered. Either this is read or `discard` is called: an unread answer keeps its connection. */
  read(maxBytes: number): AsyncGenerator<Uint8Array>;
  discard(): void;
}

export class GuardedFetch {
  readonly #origin: string;
  readonly #token: string | undefined;
  readonly #limits: HubLimits;
  readonly #lookup: ReturnType<typeof checkedLookup>;
  readonly #isNear: boolean;

  /** @param resolve what names lead to; default: as the system says */
  constructor(origin: string, token: string | undefined, limits: HubLimits, resolve?: Resolve) {
    this.#origin = origin;
    this.#token = token;
    this.#limits = limits;
    this.#lookup = checkedLookup(resolve);
    this.#isNear = origin.startsWith('http:') || isLiteralHost(new URL(origin).hostname);
  }

  /**
   * GET with the rules above; the answer's status is 2xx.
   * @throws QuasarError `hub.unreachable` | `hub.not_found` | `hub.unauthorized` | `hub.redirect_refused` |
   *   `hub.private_address` | `hub.encoding_refused` | `hub.protocol` | `hub.cancelled`; reading: those of `metered`
   */
  async get(address: string, request: GuardedRequest): Promise<GuardedAnswer> {
    const { what, signal } = request;
    let url = new URL(address);
    for (let hop = 0; ; hop++) {
      this.#checkAllowed(url, what);
      const response = await this.#send(url, request);
      const location = response.headers.get('location');
      if (response.status >= 300 && response.status < 400 && location !== null) {
        discard(response);
        if (hop === this.#limits.maxRedirects) throw protocol(`${what}: more than ${hop} redirects`);
        if (!URL.canParse(location, url.href)) throw protocol(`${what}: redirected to "${location.slice(0, 200)}"`);
        url = new URL(location, url);
        continue;
      }
      if (response.status < 200 || response.status >= 300) {
        discard(response);
        throw refusal(response, what, this.#token !== undefined);
      }
      const encoding = response.headers.get('content-encoding') ?? 'identity';
      if (encoding !== 'identity') {
        discard(response);
        const message = `${what}: the answer is compressed (${encoding.slice(0, 40)}), though identity was asked for`;
        throw new QuasarError('hub.encoding_refused', message, {
          hint: 'serve the hub without compression',
          retry: 'later',
        });
      }
      return {
        status: response.status,
        headers: response.headers,
        read: (maxBytes) => metered(response.body, { what, maxBytes, limits: this.#limits, signal }),
        discard: () => discard(response),
      };
    }
  }

  async #send(url: URL, request: GuardedRequest): Promise<PlainAnswer> {
    const { what, signal } = request;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), this.#limits.answerTimeoutMs);
    const headers: Record<string, string> = { ...request.headers, 'accept-encoding': 'identity' };
    if (this.#token !== undefined && url.origin === this.#origin) headers.authorization = `Bearer ${this.#token}`;
    const isNear = this.#isNear && url.origin === this.#origin;
    if (!isNear) checkLiteral(url.hostname);
    try {
      return await plainGet(url, {
        headers,
        signal: signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]),
        lookup: isNear ? undefined : this.#lookup,
      });
    } catch (cause) {
      if (signal?.aborted) throw cancelled(what, signal);
      if (cause instanceof QuasarError) throw cause;
      if (late.signal.aborted) throw unreachable(`${what}: no answer in ${this.#limits.answerTimeoutMs} ms`);
      throw unreachable(`${what}: ${reason(cause)}`, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  #checkAllowed(url: URL, what: string): void {
    if (url.origin === this.#origin) return;
    const ofHuggingFace = /(^|\.)(huggingface\.co|hf\.co)$/;
    if (
      url.protocol === 'https:' &&
      ofHuggingFace.test(new URL(this.#origin).hostname) &&
      ofHuggingFace.test(url.hostname)
    )
      return;
    throw new QuasarError('hub.redirect_refused', `${what}: the hub points to ${url.origin}, which is not part of it`, {
      hint: 'only the hub itself, and the storage hosts of huggingface.co, are asked for files',
      retry: 'later',
    });
  }
}

/** `fetch failed` hides the cause (ECONNREFUSED, ENOTFOUND, ...) one level deeper. */
export function reason(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(inner instanceof Error)) return String(inner);
  return 'code' in inner ? `${String(inner.code)} ${inner.message}`.trim() : inner.message;
}

function discard(response: PlainAnswer): void {
  response.body.cancel().catch(() => {}); // already cut: nothing left to close
}
