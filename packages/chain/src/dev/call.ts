/**
 * @file The writes of the dev chain and the shape rules for their parameters.
 *
 * Shape only: what can be judged without the state of the chain. Both ends check, so a bad call fails with the same code
 * in process and over the wire. The state rules (registered, permit, rate) are in ledger.ts.
 */
import { type Issue, QuasarError } from '@quasar/base';
import { z } from 'zod';
import type { CommitReceipt, WeightsReceipt } from '../port.ts';
import { TIMELOCK_MAX_BYTES, TIMELOCKED_TEXT_MAX_BYTES } from '../timelock/index.ts';

/** Limit of one commitment, UTF-8: what a timelocked one of subtensor (1024 bytes) holds. */
export const COMMITMENT_MAX_BYTES = TIMELOCKED_TEXT_MAX_BYTES;

/** TAO: all that will ever exist. */
const MAX_AMOUNT = 21e6;

const u16 = z.int().min(0).max(65535);
const amount = z.number().min(1e-9, 'at least 1 rao, 1e-9 TAO').max(MAX_AMOUNT);
const address = z.string().max(64);
const round = z.int().min(1);
const versionKey = z.int().min(0);
const bytes = (max: number) =>
  z
    .string()
    .max(2 + 2 * max)
    .regex(/^0x([0-9a-f]{2})+$/, 'expected 0x and hex digits');
const row = z.array(u16).max(4096);
const weight = z.strictObject({ uid: u16, weight: z.number().min(0) });

const callSchema = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('register'),
    params: z.strictObject({ netuid: u16, hotkey: address.optional(), maxCost: z.number().min(0).optional() }),
  }),
  z.strictObject({
    method: z.literal('addStake'),
    params: z.strictObject({ netuid: u16, hotkey: address.optional(), amount }),
  }),
  z.strictObject({
    method: z.literal('commit'),
    params: z.strictObject({ netuid: u16, data: z.string().min(1) }),
  }),
  z.strictObject({
    method: z.literal('commitTimelocked'),
    params: z.strictObject({ netuid: u16, ciphertext: bytes(1024), round }),
  }),
  z.strictObject({
    method: z.literal('setWeights'),
    params: z.strictObject({
      netuid: u16,
      weights: z.array(weight).min(1).max(65536),
      versionKey: versionKey.optional(),
    }),
  }),
  z.strictObject({
    method: z.literal('commitWeights'),
    params: z.strictObject({ netuid: u16, hash: z.string().regex(/^0x[0-9a-f]{64}$/) }),
  }),
  z.strictObject({
    method: z.literal('revealWeights'),
    params: z.strictObject({ netuid: u16, uids: row, values: row, salt: row, versionKey }),
  }),
  z.strictObject({
    method: z.literal('commitTimelockedWeights'),
    params: z.strictObject({ netuid: u16, ciphertext: bytes(TIMELOCK_MAX_BYTES), round }),
  }),
]);

export type Call = z.infer<typeof callSchema>;
export type CallMethod = Call['method'];

/** What each write answers once its block is durable. */
export interface CallResults {
  register: { uid: number };
  addStake: Record<string, never>;
  commit: CommitReceipt;
  commitTimelocked: CommitReceipt;
  setWeights: Extract<WeightsReceipt, { kind: 'plain' }>;
  commitWeights: Extract<WeightsReceipt, { kind: 'hash' }>;
  revealWeights: { setAtBlock: number };
  commitTimelockedWeights: Extract<WeightsReceipt, { kind: 'timelocked' }>;
}

/**
 * The call, or a `QuasarError` with every issue in `data.issues`: `chain.weights_invalid`, `chain.commitment_too_large`,
 * `chain.commitment_invalid`, else `chain.invalid_call`.
 */
export function checkCall(value: unknown): Call {
  const parsed = callSchema.safeParse(value);
  if (!parsed.success) {
    const paths = parsed.error.issues.map((issue) => issue.path.join('/'));
    const code = codeOf(value, paths);
    throw refuse(
      code,
      parsed.error.issues.map((issue, i) => ({ code, path: paths[i] ?? '', message: issue.message })),
    );
  }
  const call = parsed.data;
  const issues =
    call.method === 'commit'
      ? dataIssues(call.params.data)
      : call.method === 'setWeights'
        ? weightIssues(call.params.weights)
        : [];
  if (issues[0]) throw refuse(issues[0].code, issues);
  return call;
}

function codeOf(value: unknown, paths: string[]): string {
  const method = (value as { method?: unknown } | null)?.method;
  if (method === 'setWeights' && paths.some((p) => p.startsWith('params/weights'))) return 'chain.weights_invalid';
  if (method === 'commit' && paths.some((p) => p.startsWith('params/data'))) return 'chain.commitment_invalid';
  return 'chain.invalid_call';
}

function dataIssues(data: string): Issue[] {
  const path = 'params/data';
  const issues: Issue[] = [];
  if (Buffer.from(data).toString() !== data) {
    issues.push({ code: 'chain.commitment_invalid', path, message: 'half of a surrogate pair: not text' });
  }
  const sizeBytes = Buffer.byteLength(data);
  if (sizeBytes > COMMITMENT_MAX_BYTES) {
    const message = `${sizeBytes} bytes of UTF-8, at most ${COMMITMENT_MAX_BYTES}`;
    issues.push({ code: 'chain.commitment_too_large', path, message, hint: 'commit a pointer, not the thing itself' });
  }
  return issues;
}

function weightIssues(weights: readonly { uid: number; weight: number }[]): Issue[] {
  const code = 'chain.weights_invalid';
  const issues: Issue[] = [];
  const seen = new Set<number>();
  weights.forEach(({ uid }, i) => {
    if (seen.has(uid)) issues.push({ code, path: `params/weights/${i}/uid`, message: `uid ${uid} appears twice` });
    seen.add(uid);
  });
  if (weights.every((w) => w.weight === 0)) {
    issues.push({ code, path: 'params/weights', message: 'every weight is 0; at least one must be positive' });
  }
  return issues;
}

function refuse(code: string, issues: Issue[]): QuasarError {
  const shown = issues.slice(0, 5).map((issue) => `${issue.path}: ${issue.message}`);
  const more = issues.length > 5 ? `; and ${issues.length - 5} more` : '';
  return new QuasarError(code, `the chain refuses this call: ${shown.join('; ')}${more}`, {
    hint: issues[0]?.hint ?? 'see data.issues for every problem',
    data: { issues },
  });
}
