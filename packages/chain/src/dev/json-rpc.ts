/**
 * @file JSON-RPC 2.0 as the dev chain speaks it over WebSocket, one message per text frame. Source: the JSON-RPC 2.0 specification.
 *
 * Methods are the reads of requests.ts with their named parameters, `headsAfter {block}`, `submit {extrinsic}`,
 * `subscribeHeads {}` and `unsubscribeHeads {}`. A subscriber gets `head` notifications `{number, hash}` of the newest block;
 * who missed some asks `headsAfter`. An error carries the chain's own code, hint and retry advice in `error.data`.
 * Left out: batches.
 */
import { QuasarError } from '@quasar/base';

export type MessageId = string | number;

export interface RpcRequest {
  id: MessageId;
  method: string;
  params: unknown;
}

interface RpcError {
  code: number;
  message: string;
  data: { code: string; hint?: string | undefined; retry: 'never' | 'later'; data?: unknown };
}

const CODES: Record<string, number> = {
  'chain.malformed_message': -32700,
  'chain.invalid_message': -32600,
  'chain.unknown_method': -32601,
  'chain.invalid_call': -32602,
  'chain.internal': -32603,
};
const OTHER_ERROR = -32000;

/** @throws QuasarError `chain.malformed_message`, `chain.invalid_message` with the id, when it has one, in `data` */
export function parseRequest(text: string): RpcRequest {
  const message = parseObject(text);
  const id = typeof message.id === 'string' || typeof message.id === 'number' ? message.id : null;
  if (message.jsonrpc !== '2.0' || typeof message.method !== 'string' || id === null) {
    throw new QuasarError('chain.invalid_message', 'not a JSON-RPC 2.0 request with jsonrpc, id and method', {
      hint: 'send one request per message; batches and calls without an id are not taken',
      data: { id },
    });
  }
  return { id, method: message.method, params: message.params ?? {} };
}

export function resultMessage(id: MessageId, result: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id, result });
}

export function errorMessage(id: MessageId | null, error: QuasarError): string {
  const { code, message, hint, retry, data } = error;
  const body: RpcError = { code: CODES[code] ?? OTHER_ERROR, message, data: { code, hint, retry, data } };
  return JSON.stringify({ jsonrpc: '2.0', id, error: body });
}

export function requestMessage(id: MessageId, method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, params });
}

export function notificationMessage(method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', method, params });
}

export type Reply =
  | { kind: 'result'; id: MessageId; result: unknown }
  | { kind: 'error'; id: MessageId | null; error: QuasarError }
  | { kind: 'notification'; method: string; params: unknown };

/** What a server sent; null when it is no JSON-RPC. */
export function parseReply(text: string): Reply | null {
  let message: Record<string, unknown>;
  try {
    message = parseObject(text);
  } catch {
    return null;
  }
  const { id, method, params, error } = message;
  if (message.jsonrpc !== '2.0') return null;
  if (typeof method === 'string') return { kind: 'notification', method, params };
  const hasId = typeof id === 'string' || typeof id === 'number';
  if (error !== undefined) {
    const known = errorOf(error);
    return known && (hasId || id === null) ? { kind: 'error', id: hasId ? id : null, error: known } : null;
  }
  return hasId && 'result' in message ? { kind: 'result', id, result: message.result } : null;
}

function errorOf(value: unknown): QuasarError | null {
  const { message, data } = (value ?? {}) as Partial<RpcError>;
  if (typeof message !== 'string' || typeof data?.code !== 'string') return null;
  const hint = typeof data.hint === 'string' ? { hint: data.hint } : {};
  return new QuasarError(data.code, message, {
    ...hint,
    retry: data.retry === 'later' ? 'later' : 'never',
    data: data.data,
  });
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new QuasarError('chain.malformed_message', 'the message is not JSON', { cause, data: { id: null } });
  }
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new QuasarError('chain.invalid_message', 'the message is not a JSON object', { data: { id: null } });
}
