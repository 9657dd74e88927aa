/** @file The answers and non-answers of a hub as errors: what is absent, what may be tried again, what is wrong. */
import { QuasarError } from '@quasar/base';

/** The hub itself says that a repository, revision or file is not there for us; no proxy says this by accident. */
const ABSENT = new Set(['RepoNotFound', 'RevisionNotFound', 'EntryNotFound', 'GatedRepo', 'DisabledRepo']);

export function unreachable(message: string, options: { cause?: unknown; data?: unknown } = {}): QuasarError {
  return new QuasarError('hub.unreachable', message, {
    hint: 'the hub may be busy or down; the same call can be repeated later',
    retry: 'later',
    ...options,
  });
}

/** @param signal tells the caller's own abort from our time limit */
export function cancelled(what: string, signal: AbortSignal | undefined): QuasarError {
  const reason: unknown = signal?.reason;
  if (reason instanceof DOMException && reason.name === 'TimeoutError') return unreachable(`${what}: took too long`);
  return new QuasarError('hub.cancelled', `${what}: cancelled`, { retry: 'later', cause: reason });
}

export function protocol(message: string, cause?: unknown): QuasarError {
  return new QuasarError('hub.protocol', message, {
    hint: 'check the hub URL; what answers there does not speak the Hugging Face protocol',
    retry: 'later',
    cause,
  });
}

/** Listing and file come from the same hub: when they differ, it is the hub or the way to it, and never the owner's doing. */
export function sizeMismatch(message: string): QuasarError {
  return new QuasarError('hub.size_mismatch', message, {
    hint: 'the revision cannot be used as it was listed; if it is yours, upload the file again',
    retry: 'later',
  });
}

export function digestMismatch(message: string): QuasarError {
  return new QuasarError('hub.digest_mismatch', message, {
    hint: 'the hub or the way to it changed the content; nothing of it was kept',
    retry: 'later',
  });
}

/** Errors of the file system under the cache, in our words; others as they are. */
export function diskFailure(error: unknown, directory: string): unknown {
  if (!(error instanceof Error && 'syscall' in error && 'errno' in error)) return error;
  return new QuasarError('hub.disk', `hub cache ${directory}: ${error.message}`, {
    hint: 'check free disk space and permissions; the cache can be deleted at any time',
    retry: 'later',
    cause: error,
  });
}

/**
 * The error for an answer that is no success.
 *
 * Absent is only what the hub names so by `X-Error-Code`, or a 401 without a token, which is how Hugging Face hides
 * private and missing repositories. A bare 404 may be a wrong URL, and must not make a submission disappear.
 */
export function refusal(response: { status: number; headers: Headers }, what: string, hadToken: boolean): QuasarError {
  const { status } = response;
  const code = response.headers.get('x-error-code') ?? '';
  const badToken = response.headers.get('x-error-message')?.startsWith('Invalid credentials') ?? false;
  if (!badToken && (([401, 403, 404, 410].includes(status) && ABSENT.has(code)) || (status === 401 && !hadToken))) {
    return new QuasarError('hub.not_found', `${what}: not there, or private (${status} ${code})`, {
      hint: 'check the repository, the revision and the file name; private repositories need a token',
    });
  }
  if (status === 401 || status === 403) {
    return new QuasarError('hub.unauthorized', `${what}: the hub refuses this token (${status} ${code})`, {
      hint: 'set a valid token that may do this',
      retry: 'later',
    });
  }
  if (status === 408 || status === 429 || status >= 500) {
    const data = { status, ...retryAfter(response.headers.get('retry-after')) };
    return unreachable(`${what}: the hub answers ${status}`, { data });
  }
  if (status === 416) {
    return sizeMismatch(`${what}: the file is shorter than declared`);
  }
  return protocol(`${what}: unexpected status ${status}`);
}

/** Seconds, or a date. Source: RFC 9110 section 10.2.3. */
function retryAfter(text: string | null): { retryAfterMs?: number } {
  if (text === null) return {};
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? { retryAfterMs: Math.max(0, ms) } : {};
}
