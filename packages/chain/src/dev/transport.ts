/** @file JSON requests to one chain server: short retries on a broken connection, errors with the server's own codes. */
import { QuasarError } from '@quasar/base';
import { errorFromWire, GENESIS_HEADER, type Info, SERVICE_NAME } from './wire.ts';

/** Pauses before the second and third attempt. */
const RETRY_PAUSES_MS = [100, 300];
const TIMEOUT_MS = 30_000;

export interface RequestOptions {
  /** Sent as JSON by POST when present. */
  body?: unknown;
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

export class Transport {
  readonly #url: string;
  #info: Info | null = null;

  constructor(url: string) {
    if (!URL.canParse(url) || !/^https?:/.test(url)) {
      throw new QuasarError('chain.invalid_options', `the chain address ${JSON.stringify(url)} is not an http URL`, {
        hint: 'for example http://127.0.0.1:9944',
      });
    }
    this.#url = url.replace(/\/+$/, '');
  }

  /** What the server says about its chain; asked once. */
  async info(): Promise<Info> {
    if (this.#info) return this.#info;
    const info = await this.#retrying<Partial<Info> | null>('/info', {});
    if (info?.service !== SERVICE_NAME || typeof info.genesis !== 'string' || typeof info.blockTimeMs !== 'number') {
      throw this.#protocolError('/info');
    }
    this.#info ??= info as Info;
    return this.#info;
  }

  /**
   * Throws `chain.unreachable` (retry later) after three attempts, `chain.wrong_genesis` when another chain answers than
   * before, `chain.protocol` when something answers that is no chain, or the server's error.
   */
  async request<T>(path: string, options: RequestOptions = {}): Promise<T> {
    await this.info();
    return this.#retrying(path, options);
  }

  async #retrying<T>(path: string, options: RequestOptions): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#once<T>(path, options);
      } catch (error) {
        const pauseMs = RETRY_PAUSES_MS[attempt];
        const transient = error instanceof QuasarError && error.code === 'chain.unreachable';
        if (!transient || pauseMs === undefined || options.signal?.aborted) throw error;
        await sleep(pauseMs, options.signal);
      }
    }
  }

  async #once<T>(path: string, { body, signal, timeoutMs = TIMEOUT_MS }: RequestOptions): Promise<T> {
    const limit = new AbortController();
    const abort = () => limit.abort();
    const timer = setTimeout(abort, timeoutMs);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    try {
      const response = await fetch(`${this.#url}${path}`, {
        signal: limit.signal,
        ...(body === undefined
          ? {}
          : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      });
      return this.#read<T>(path, response, await response.text());
    } catch (cause) {
      if (cause instanceof QuasarError) throw cause;
      throw this.#unreachable(cause);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  #read<T>(path: string, response: Response, text: string): T {
    const genesis = response.headers.get(GENESIS_HEADER);
    if (genesis === null) {
      if (response.status >= 502 && response.status <= 504)
        throw this.#unreachable(new Error(`HTTP ${response.status}`));
      throw this.#protocolError(path);
    }
    if (this.#info && genesis !== this.#info.genesis) {
      throw new QuasarError(
        'chain.wrong_genesis',
        `${this.#url} now serves chain ${genesis}, before ${this.#info.genesis}`,
        {
          hint: 'the chain was replaced; connect again and start from its block 0',
        },
      );
    }
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      throw this.#protocolError(path);
    }
    if (response.ok) return body as T;
    throw errorFromWire(body) ?? this.#protocolError(path);
  }

  #unreachable(cause: unknown): QuasarError {
    const why = (cause as { cause?: { code?: string } }).cause?.code ?? (cause as Error).name;
    return new QuasarError('chain.unreachable', `no answer from the chain at ${this.#url} (${why})`, {
      hint: 'is it running? try again later',
      retry: 'later',
      cause,
    });
  }

  #protocolError(path: string): QuasarError {
    return new QuasarError('chain.protocol', `${this.#url}${path} did not answer like a Quasar chain`, {
      hint: 'check the address: another program seems to listen there',
    });
  }
}

/** Resolves after `ms`, or at once on abort. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
    if (signal?.aborted) done();
  });
}
