/**
 * @file The error body that OpenAI clients expect: `{error: {message, type, param, code}}`.
 * Source: openai-node `src/core/error.ts`: the client picks its error class by HTTP status and reads these four keys;
 * it repeats 408, 409, 429 and 5xx by itself unless `x-should-retry: false`.
 */
import { QuasarError } from '@quasar/base';

export type ApiErrorType = 'invalid_request_error' | 'rate_limit_error' | 'server_error';

export interface ApiErrorDetail {
  /** Stable, listed in docs/errors.md as `api.<code>`. */
  code: string;
  type: ApiErrorType;
  message: string;
  /** The request field at fault. */
  param?: string | null;
  retryAfterS?: number;
  /** False: tells clients not to repeat the call by themselves. */
  shouldRetry?: boolean;
}

export class ApiError extends Error {
  readonly status: number;
  readonly detail: ApiErrorDetail;

  constructor(status: number, detail: ApiErrorDetail) {
    super(detail.message);
    this.name = 'ApiError';
    this.status = status;
    this.detail = detail;
  }

  body(): { error: { message: string; type: ApiErrorType; param: string | null; code: string } } {
    const { message, type, param = null, code } = this.detail;
    return { error: { message, type, param, code } };
  }

  response(): Response {
    const headers = new Headers({ 'content-type': 'application/json' });
    if (this.detail.retryAfterS !== undefined) headers.set('retry-after', String(this.detail.retryAfterS));
    if (this.detail.shouldRetry !== undefined) headers.set('x-should-retry', String(this.detail.shouldRetry));
    return new Response(JSON.stringify(this.body()), { status: this.status, headers });
  }
}

/** Any thrown value as an answer. What is not ours says nothing about the inside. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof QuasarError) {
    const later = error.retry === 'later';
    const message = error.hint ? `${error.message} ${error.hint}` : error.message;
    return new ApiError(later ? 503 : 500, {
      code: error.code,
      type: 'server_error',
      message,
      ...(later && { retryAfterS: 5 }),
    });
  }
  return new ApiError(500, { code: 'internal_error', type: 'server_error', message: 'The server failed to answer.' });
}
