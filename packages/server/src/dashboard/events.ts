/**
 * @file The event types of the contest log as the dashboard reads them.
 *
 * Lenient on purpose: unknown keys are ignored and numbers that JSON cannot hold (an infinite t) read as null,
 * so that an older or newer validator's log still shows. What does not parse is counted, never thrown.
 */
import { z } from 'zod';
import { cleanText } from '../text.ts';

const uid = z.number().int();
const block = z.number();
const count = z.number();
const text = z.unknown().transform((value) => cleanText(value));
const maybe = z.number().nullish().catch(null);
const entrant = z.object({ uid, repo: text, revision: text });
const note = z.object({
  code: text,
  path: text.optional(),
  message: text,
  hint: text.optional(),
});
const axis = z.object({ value: maybe, n: z.number().catch(0), broken: z.boolean().catch(false) });

export const EVENT_SCHEMAS = {
  'round.started': z.object({
    round: count,
    startBlock: block,
    cutoffBlock: maybe,
    seedBlock: maybe,
    seedHash: text.optional(),
    activationBlock: maybe,
    candidates: z.array(z.unknown()).catch([]),
  }),
  'submission.seen': z.object({
    id: z.string(),
    uid,
    hotkey: text,
    repo: text,
    revision: text,
    revealedAtBlock: block,
    round: maybe,
  }),
  'submission.rejected': z.object({
    id: z.string(),
    uid,
    repo: text,
    revision: text,
    status: z.enum(['COPY', 'REMOVED', 'INVALID', 'EVAL_ERROR']),
    issues: z.array(note).catch([]),
    original: entrant.extend({ revealedAtBlock: maybe }).nullish().catch(null),
    round: maybe,
  }),
  'evaluation.progress': z.object({
    id: z.string(),
    uid,
    repo: text,
    phase: text,
    done: count,
    total: count,
    meanDelta: maybe,
    kingKl: maybe,
    challengerKl: maybe,
    round: maybe,
  }),
  'evaluation.scored': z.object({
    id: z.string().nullish(),
    uid,
    repo: text,
    revision: text,
    axes: z.record(z.string(), axis).catch({}),
    weighted: maybe,
    worst: maybe,
    quality: maybe,
  }),
  'duel.judged': z.object({
    id: z.string(),
    uid,
    repo: text,
    revision: text,
    king: entrant,
    n: count,
    meanDelta: z.number(),
    se: z.number(),
    t: maybe,
    p: z.number(),
    lcb: z.number(),
    kingKl: z.number(),
    challengerKl: z.number(),
    win: z.boolean(),
    crownGate: z
      .object({ quality: maybe, kingQuality: maybe, passed: z.boolean(), reasons: z.array(text).catch([]) })
      .nullish()
      .catch(null),
    round: maybe,
  }),
  'king.crowned': z.object({
    uid,
    hotkey: text,
    repo: text,
    revision: text,
    crownedAtBlock: block,
    reign: count,
    previous: entrant.nullish().catch(null),
  }),
  'weights.set': z.object({ weights: z.array(z.object({ uid, weight: z.number() })), setAtBlock: block }),
  'round.finished': z.object({ round: count, outcome: z.unknown().optional() }),
  'evaluation.failed': z.object({
    id: z.string(),
    uid: uid.optional(),
    error: z.object({ code: text, message: text, hint: text.optional() }),
    attempt: z.number().catch(1),
    final: z.boolean().catch(false),
    round: maybe,
  }),
} as const;

export type EventType = keyof typeof EVENT_SCHEMAS;
export type EventData<T extends EventType> = z.infer<(typeof EVENT_SCHEMAS)[T]>;
