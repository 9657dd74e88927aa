/**
 * @file The one error type that crosses package borders, and issues as values.
 *
 * Exceptions are broken borders or bugs. Expected failures (a rejected submission, a bad config file)
 * are values: a list of `Issue`, all of them, never only the first.
 */

/** One finding about untrusted input. `code` is stable and listed in docs/errors.md. */
export interface Issue {
  code: string;
  /** Where in the input: `config.json/d_model`, `model.safetensors#model.norm.weight`. */
  path?: string;
  message: string;
  hint?: string;
}

export type Result<T> = { ok: true; value: T } | { ok: false; issues: Issue[] };

export interface QuasarErrorOptions {
  /** What the reader should do about it. */
  hint?: string;
  /** Whether the same call can succeed later without a change by the caller. Default `never`. */
  retry?: 'never' | 'later';
  data?: unknown;
  cause?: unknown;
}

/** Base error. `code` is `<room>.<what>` in snake case, for example `checkpoint.offset_overlap`. */
export class QuasarError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly retry: 'never' | 'later';
  readonly data: unknown;

  constructor(code: string, message: string, options: QuasarErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'QuasarError';
    this.code = code;
    this.hint = options.hint;
    this.retry = options.retry ?? 'never';
    this.data = options.data;
  }
}

/** One line per issue: `code path: message (hint)`. */
export function formatIssues(issues: readonly Issue[]): string {
  return issues
    .map((i) => `${i.code}${i.path ? ` ${i.path}` : ''}: ${i.message}${i.hint ? ` (${i.hint})` : ''}`)
    .join('\n');
}
