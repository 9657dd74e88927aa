/**
 * @file Units of evaluation: what one process does with one model in one go.
 *
 * A unit is a pure function of its payload, the model files that the payload names by their digests, and the blobs that
 * it names by theirs. Payloads and results travel through a job queue that other machines write to, so both are checked
 * against strict schemas on arrival. Batches inside a unit are fixed, and units begin and end where a batch does:
 * however a round is cut into units, every batch holds the same rows and gives the same bits.
 *
 *     traces     the teacher's continuations of prompts, with its top k at every token   -> blob (trace-blob.ts)
 *     kl         a model's tail-bucket KL on such a blob                                 -> a number per prompt, blob per token
 *     answers    a model's greedy replies to prompts                                     -> tokens
 *     likelihood the teacher's ln p of given replies                                     -> a number per reply
 *     rollouts   a model's own text, its reverse KL judged by the teacher                -> a number per prompt
 *     fingerprint  what a model computes at given probes, for copy detection               -> a few kilobytes
 */
import { CONVERSATION_BATCH, REPLY_BATCH, ROLLOUT_BATCH, SCORE_BATCH } from '@quasar/evals';
import { z } from 'zod';

/** Changes whenever a unit's result could: an evaluator of another version must not touch it. */
export const UNITS_VERSION = 1;

export const UNIT_KINDS = ['traces', 'kl', 'answers', 'likelihood', 'rollouts', 'fingerprint'] as const;
export type UnitKind = (typeof UNIT_KINDS)[number];

/** Rows of one unit, a multiple of its batch: long enough to be worth a message, short enough to be lost. */
export const UNIT_ROWS: Readonly<Record<UnitKind, number>> = {
  traces: 3 * SCORE_BATCH,
  kl: 3 * SCORE_BATCH,
  answers: 2 * REPLY_BATCH,
  likelihood: 4 * CONVERSATION_BATCH,
  rollouts: ROLLOUT_BATCH,
  fingerprint: 1,
};

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const positive = z.int().min(1);
const text = z.string().min(1).max(300);

/** Int32 little endian in base64: JSON arrays of tokens would be four times as long. */
const tokens = z
  .base64()
  .refine((packed) => Buffer.byteLength(packed, 'base64') % 4 === 0, 'whole 32-bit numbers')
  .transform((packed) => unpackTokens(packed));
const prompts = z.array(tokens).min(1).max(1024);

/**
 * Which model: the base student or the teacher, which every evaluator has, or a revision of the hub. The digest is over
 * the files of the checkpoint, so nobody measures another model than was meant.
 */
export const modelRef = z.discriminatedUnion('from', [
  z.strictObject({ from: z.enum(['base', 'teacher']), sha256 }),
  z.strictObject({
    from: z.literal('hub'),
    repo: text,
    revision: z.string().regex(/^[0-9a-f]{40}$/),
    manifestSha256: sha256,
  }),
]);
export type ModelRef = z.infer<typeof modelRef>;

const sampling = { temperature: z.number().min(0), topP: z.number().min(0).max(1), topK: positive };
const shared = { version: z.literal(UNITS_VERSION), model: modelRef };
/** Of the first row among all rows of its kind: names the random streams. */
const from = z.int().min(0);

const texts = z.strictObject({ B: positive, T: positive, tokens });

const payloads = {
  traces: z.strictObject({ ...shared, from, prompts, seed: text, continuationTokens: positive, ...sampling }),
  /** `traces`: digest of the blob; `rows` and `tokens` are its size, for the time limit. */
  kl: z.strictObject({ ...shared, traces: sha256, rows: positive, tokens: positive }),
  /** `maxNewTokens`: one for all, or one per prompt. */
  answers: z
    .strictObject({ ...shared, prompts, maxNewTokens: z.union([positive, z.array(positive)]) })
    .refine(({ prompts, maxNewTokens: each }) => typeof each === 'number' || each.length === prompts.length),
  /** `prompts`: prompt and reply together; `starts`: where the replies begin. */
  likelihood: z
    .strictObject({ ...shared, prompts, starts: z.array(positive) })
    .refine(({ prompts, starts }) => starts.length === prompts.length)
    .refine(({ prompts, starts }) => starts.every((start, i) => start < (prompts[i]?.length ?? 0))),
  rollouts: z.strictObject({
    ...{ ...shared, from, prompts, seed: text, maxNewTokens: positive },
    ...{ ...sampling, teacher: modelRef },
  }),
  fingerprint: z.strictObject({
    ...shared,
    probes: z.strictObject({ short: texts, readouts: tokens, public: texts, behaviour: texts, positions: tokens }),
  }),
};

const packed = z.base64().max(100_000);

const results = {
  /** Digest of the blob; its tokens in all, prompts included. */
  traces: z.strictObject({ traces: sha256, rows: positive, tokens: positive }),
  /** `perToken`: digest of float32 values, prompt after prompt; `tokens` counts those of each. */
  kl: z.strictObject({ perPrompt: z.array(z.number()), tokens: z.array(positive), perToken: sha256 }),
  answers: z.strictObject({ replies: z.array(z.strictObject({ tokens, finished: z.boolean() })) }),
  likelihood: z.strictObject({ logprobs: z.array(z.number()) }),
  rollouts: z.strictObject({ perPrompt: z.array(z.number().nullable()) }),
  fingerprint: z.strictObject({
    readings: z.array(packed).max(1000),
    activations: z.array(packed).max(1000),
    behaviour: z.strictObject({ ids: packed, probabilities: packed }),
  }),
};

export type UnitPayload<K extends UnitKind> = z.input<(typeof payloads)[K]>;
export type UnitResult<K extends UnitKind> = z.output<(typeof results)[K]>;
/** A unit as it is computed: its payload checked and unpacked. */
export type Unit = { [K in UnitKind]: { kind: K } & z.output<(typeof payloads)[K]> }[UnitKind];

/** A unit as it travels. */
export function unitPayload(unit: Unit): UnitPayload<UnitKind> {
  const { kind: _, ...rest } = unit;
  return pack(rest) as UnitPayload<UnitKind>;
}

function pack(value: unknown): unknown {
  if (value instanceof Int32Array) return packTokens(value);
  if (Array.isArray(value)) return value.map(pack);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, pack(one)]));
}

/** @returns null for anything that is no unit of this version */
export function readUnit(kind: string, payload: unknown): Unit | null {
  if (!Object.hasOwn(payloads, kind)) return null;
  const parsed = payloads[kind as UnitKind].safeParse(payload);
  return parsed.success ? ({ kind, ...parsed.data } as Unit) : null;
}

/** @returns null for anything that is no result of this kind */
export function readResult<K extends UnitKind>(kind: K, result: unknown): UnitResult<K> | null {
  const parsed = results[kind].safeParse(result);
  return parsed.success ? (parsed.data as UnitResult<K>) : null;
}

/** Names the random streams of a batch. @param row its first, among all rows of the kind */
export function batchSeed(seed: string, row: number): string {
  return `${seed}/${row}`;
}

/** Tokens that go through a model in this unit, about: what its time limit is made of. */
export function unitTokens(unit: Unit): number {
  if (unit.kind === 'kl') return unit.tokens;
  if (unit.kind === 'fingerprint') {
    const { short, public: open, behaviour } = unit.probes;
    return [short, open, behaviour].reduce((sum, { tokens: all }) => sum + all.length, 0);
  }
  const read = unit.prompts.reduce((sum, prompt) => sum + prompt.length, 0);
  if (unit.kind === 'likelihood') return read;
  const written = unit.kind === 'traces' ? unit.continuationTokens : unit.maxNewTokens;
  if (typeof written === 'number') return read + unit.prompts.length * written;
  return read + written.reduce((sum, count) => sum + count, 0);
}

/** The models a unit needs, the one it measures first. */
export function unitModels(unit: Unit): ModelRef[] {
  return unit.kind === 'rollouts' ? [unit.model, unit.teacher] : [unit.model];
}

/** The blobs a unit reads. */
export function unitBlobs(unit: Unit): string[] {
  return unit.kind === 'kl' ? [unit.traces] : [];
}

/** The blobs that a result names. */
export function resultBlobs(kind: UnitKind, result: unknown): string[] {
  const one = readResult(kind, result);
  if (one === null) return [];
  if ('traces' in one) return [one.traces];
  return 'perToken' in one ? [one.perToken] : [];
}

export function packTokens(values: Int32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
}

export function unpackTokens(packed: string): Int32Array {
  return new Int32Array(Uint8Array.from(Buffer.from(packed, 'base64')).buffer);
}
