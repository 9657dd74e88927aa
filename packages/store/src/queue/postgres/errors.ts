/**
 * @file Errors of Postgres and of its client in our words: what passes by itself (`retry: 'later'`) and what does not.
 * Source: postgresql.org/docs/current/errcodes-appendix.html.
 */
import { QuasarError } from '@quasar/base';

/** Connection failures, resources, deadlocks, shutdown: classes 08, 53, 40, 57 and codes of the network. */
const PASSING = /^(08|53|40|57P|55P03|E[A-Z]+$)/;
const LOGIN = /^(28|3D000)/;
/** The client's own errors have no code. */
const BROKEN_CONNECTION = /terminated|timeout|not queryable|connection error|Cannot use a pool/i;

export function translate(shown: string, error: unknown): unknown {
  if (error instanceof QuasarError || !(error instanceof Error)) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  // Several addresses of one host were tried: the message is in the parts.
  const cause = error instanceof AggregateError ? error.errors[0] : error;
  const text = cause instanceof Error ? cause.message : String(cause);
  if (PASSING.test(code) || (code === '' && BROKEN_CONNECTION.test(text))) {
    return new QuasarError('queue.unreachable', `job queue ${shown}: Postgres cannot be used now: ${text}`, {
      hint: 'see whether the server runs, the address is right, and connections, memory and disk are left',
      retry: 'later',
      cause,
    });
  }
  if (LOGIN.test(code)) {
    return new QuasarError('queue.login', `job queue ${shown}: Postgres does not let us in: ${text}`, {
      hint: 'check user, password (in the address or PGPASSWORD), database and pg_hba.conf',
      cause,
    });
  }
  if (code === '42501') {
    return new QuasarError('queue.privilege', `job queue ${shown}: ${text}`, {
      hint: 'the first to open a queue needs CREATE on the database; see docs/evaluators.md for the grants of the others',
      cause,
    });
  }
  return error;
}
