/** @file A request that is answered with an error status; `X-Error-Code` as the Hugging Face hub names it. */
import type { ContentfulStatusCode } from 'hono/utils/http-status';

export type ErrorCode = 'RepoNotFound' | 'RevisionNotFound' | 'EntryNotFound';

export class HttpError extends Error {
  readonly status: ContentfulStatusCode;
  readonly errorCode: ErrorCode | undefined;

  constructor(status: ContentfulStatusCode, message: string, errorCode?: ErrorCode) {
    super(message);
    this.status = status;
    this.errorCode = errorCode;
  }
}
