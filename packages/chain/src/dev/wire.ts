/**
 * @file What server and client agree on: paths, the genesis header, and errors as JSON.
 *
 * GET /info, /heads?after=N&waitMs=M; POST /ask/REQUEST with its parameters, /extrinsics. Every reply carries the genesis hash, so that a client notices at once
 * when another chain answers at the same address.
 */
import { QuasarError } from '@quasar/base';

export const GENESIS_HEADER = 'x-quasar-genesis';
export const SERVICE_NAME = 'quasar-dev-chain';
/** The longest a server holds a request for heads. */
export const MAX_WAIT_MS = 10_000;

export interface Info {
  service: typeof SERVICE_NAME;
  genesis: string;
  blockTimeMs: number;
}

export interface WireError {
  error: { code: string; message: string; hint?: string | undefined; retry: 'never' | 'later'; data?: unknown };
}

export function errorToWire(error: QuasarError): WireError {
  const { code, message, hint, retry, data } = error;
  return { error: { code, message, hint, retry, data } };
}

/** The error a server sent, or null when `body` is not one. */
export function errorFromWire(body: unknown): QuasarError | null {
  const error = (body as Partial<WireError> | null)?.error;
  if (typeof error?.code !== 'string' || typeof error.message !== 'string') return null;
  const retry = error.retry === 'later' ? 'later' : 'never';
  const hint = typeof error.hint === 'string' ? { hint: error.hint } : {};
  return new QuasarError(error.code, error.message, { ...hint, retry, data: error.data });
}
