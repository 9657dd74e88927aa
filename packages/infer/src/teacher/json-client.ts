/**
 * @file JSON over HTTP with a server nobody vouches for: time limits, a limit on what it may send, tries again when it is
 * busy or gone, no redirects, no compressed answers. The key comes from the caller and appears in no message.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { QuasarError } from '@quasar/base';

export interface JsonClientLimits {
  /** Until the whole answer is there: a long continuation on a busy server takes minutes. */
  answerTimeoutMs: number;
  /** A view of 4096 positions with 128 entries each is about 20 MB of JSON. */
  maxAnswerBytes: number;
  /** Tries in all, for answers 408, 429 and 5xx and for connections that fail. */
  attempts: number;
  /** Before the second try; doubled for each further one. A server's `Retry-After` wins where it is longer. */
  retryDelayMs: number;
  maxRetryDelayMs: number;
}

export const JSON_CLIENT_LIMITS: JsonClientLimits = {
  answerTimeoutMs: 300_000,
  maxAnswerBytes: 64 * 2 ** 20,
  attempts: 6,
  retryDelayMs: 500,
  maxRetryDelayMs: 60_000,
};

/** An answer that no further try would change. */
export interface JsonAnswer {
  status: number;
  /** Parsed; null where the body of a refusal is no JSON. */
  body: unknown;
}

const SHOWN_CHARS = 300;

export class JsonClient {
  readonly #base: URL;
  readonly #key: string | undefined;
  readonly #limits: JsonClientLimits;

  /**
   * @param base http or https, without credentials
   * @param key sent as a bearer token, to this origin only
   * @throws QuasarError infer.teacher_url
   */
  constructor(base: string, key: string | undefined, limits: Partial<JsonClientLimits> = {}) {
    const url = URL.canParse(base) ? new URL(base) : null;
    if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
      const shown = url ? `${url.protocol}//${url.host}` : 'that is no URL';
      throw new QuasarError(
        'infer.teacher_url',
        `teacher: expected an http or https URL without credentials: ${shown}`,
        {
          hint: 'such as http://127.0.0.1:8000/v1; a key is read from an environment variable',
        },
      );
    }
    this.#base = url;
    this.#key = key;
    this.#limits = { ...JSON_CLIENT_LIMITS, ...limits };
  }

  get host(): string {
    return this.#base.host;
  }

  /**
   * @param path absolute on the server
   * @param body sent as JSON by POST; undefined: GET
   * @returns answers 2xx, and refusals that stay: 4xx other than 408 and 429, and 501
   * @throws QuasarError infer.teacher_unreachable, infer.teacher_answer, infer.cancelled
   */
  async call(path: string, body: unknown, signal: AbortSignal | undefined): Promise<JsonAnswer> {
    const { attempts, retryDelayMs, maxRetryDelayMs } = this.#limits;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#once(path, body, signal);
      if ('status' in outcome) return outcome;
      if (attempt === attempts) {
        throw new QuasarError('infer.teacher_unreachable', `teacher: ${outcome.failure}, ${attempts} times`, {
          hint: 'is the server up and the URL right? what is done so far is kept',
          retry: 'later',
        });
      }
      const delayMs = Math.max(retryDelayMs * 2 ** (attempt - 1), outcome.retryAfterMs ?? 0);
      await sleep(Math.min(delayMs, maxRetryDelayMs), undefined, { signal }).catch(() => {});
      if (signal?.aborted) throw cancelled();
    }
  }

  async #once(
    path: string,
    body: unknown,
    signal: AbortSignal | undefined,
  ): Promise<JsonAnswer | { failure: string; retryAfterMs?: number }> {
    if (signal?.aborted) throw cancelled();
    const what = `${body === undefined ? 'GET' : 'POST'} ${path} on ${this.host}`;
    const late = AbortSignal.timeout(this.#limits.answerTimeoutMs);
    try {
      const response = await fetch(new URL(path, this.#base), {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          'accept-encoding': 'identity',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        redirect: 'manual',
        signal: signal ? AbortSignal.any([signal, late]) : late,
      });
      const { status } = response;
      const encoding = response.headers.get('content-encoding') ?? 'identity';
      if (encoding !== 'identity') throw this.#badAnswer(what, `is compressed (${encoding.slice(0, 20)})`, response);
      if (status >= 300 && status < 400) throw this.#badAnswer(what, `is a redirect (${status})`, response);
      const text = await this.#text(response, what);
      if (status === 408 || status === 429 || (status >= 500 && status !== 501)) {
        const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
        const failure = `${what}: ${status} ${this.#shown(text)}`;
        return { failure, ...(seconds > 0 ? { retryAfterMs: seconds * 1000 } : {}) };
      }
      try {
        return { status, body: JSON.parse(text) };
      } catch {
        if (!response.ok) return { status, body: null };
        throw this.#badAnswer(what, `is no JSON: ${this.#shown(text)}`);
      }
    } catch (error) {
      if (error instanceof QuasarError) throw error;
      if (signal?.aborted) throw cancelled();
      if (late.aborted) return { failure: `${what}: no answer in ${this.#limits.answerTimeoutMs} ms` };
      return { failure: `${what}: ${reason(error)}` };
    }
  }

  /** The body, closed as soon as it is too long. */
  async #text(response: Response, what: string): Promise<string> {
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of response.body ?? []) {
      size += part.length;
      // Leaving the loop closes the connection.
      if (size > this.#limits.maxAnswerBytes)
        throw this.#badAnswer(what, `is longer than ${this.#limits.maxAnswerBytes} bytes`);
      parts.push(part);
    }
    return Buffer.concat(parts).toString();
  }

  #badAnswer(what: string, how: string, unread?: Response): QuasarError {
    unread?.body?.cancel().catch(() => {}); // already cut: nothing left to close
    return badAnswer(`the answer to ${what} ${how}`);
  }

  /** What a server says, made harmless for a terminal; a server may repeat the key. */
  #shown(text: string): string {
    const clean = text.slice(0, SHOWN_CHARS * 4).replace(/[^\x20-\x7e]+/g, ' ');
    return (this.#key ? clean.replaceAll(this.#key, '[key]') : clean).slice(0, SHOWN_CHARS);
  }

  /** A refusal in the words of the server. */
  refused(what: string, answer: JsonAnswer): QuasarError {
    const error = (answer.body as { error?: { message?: unknown } | string } | null)?.error;
    const message = typeof error === 'object' ? error?.message : error;
    const said = typeof message === 'string' ? message : JSON.stringify(answer.body);
    const isKey = answer.status === 401 || answer.status === 403;
    return new QuasarError(
      'infer.teacher_refused',
      `teacher: ${this.host} refuses ${what}: ${answer.status} ${this.#shown(said)}`,
      { hint: isKey ? 'set the environment variable of the key' : 'change what the message names' },
    );
  }
}

export function badAnswer(what: string): QuasarError {
  return new QuasarError('infer.teacher_answer', `teacher: ${what}`, {
    hint: 'the URL must be that of an OpenAI-compatible server that reports log-probabilities',
  });
}

function cancelled(): QuasarError {
  return new QuasarError('infer.cancelled', 'the teacher was not asked any further', { retry: 'later' });
}

/** `fetch failed` hides the cause (ECONNREFUSED, ENOTFOUND, ...) one level deeper. */
function reason(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(inner instanceof Error)) return String(inner);
  return 'code' in inner ? `${String(inner.code)} ${inner.message}`.trim() : inner.message;
}
