/**
 * @file What a run tells while it trains: one JSON object a line in `events.jsonl`. Numbers are in the units of their names;
 * losses are nats per token. Readers keep going over types they do not know and lines that are broken.
 */

/** Tokens that each expert got as shares of its layer, and selection biases: per mixture layer, per expert. */
export interface RouterLoad {
  load: number[][];
  /** Empty for models that choose without a bias. */
  bias: number[][];
}

interface EventFields {
  started: {
    stage: string;
    name: string;
    parameters: number;
    activeParameters: number;
    /** Of training: forward, backward and what is computed again. */
    flopsPerToken: number;
    peakGflops: number | null;
    /** Wall time of the steps that are left, as foreseen before the first. */
    predictedMs: number | null;
    /** The step of the resume point; null: from the beginning, whatever an earlier run told here. */
    resumedAtStep: number | null;
    workers: number;
    settings: Record<string, unknown>;
    data: { name: string; fingerprint?: string | undefined; specs?: string[] | undefined };
  };
  step: {
    /** Optimizer steps done, of `steps`. */
    step: number;
    steps: number;
    /** Trained on since the run began. */
    tokens: number;
    metrics: Record<string, number>;
    learningRate: number;
    /** Before clipping. */
    gradientNorm: number;
    tokensPerSecond: number;
    /** `flopsPerToken` × `tokensPerSecond` as a share of the peak of the machine. */
    peakShare: number | null;
    etaMs: number;
    /** Memory of the process, and of it in tensors of the device. */
    rssBytes: number;
    deviceBytes?: number | undefined;
    /** Every few steps. */
    router?: RouterLoad | undefined;
  };
  evaluation: {
    step: number;
    /** Metrics per held-out set. */
    heldOut: Record<string, Record<string, number>>;
  };
  saved: { step: number; bytes: number; ms: number };
  save_failed: { step: number; code: string; message: string };
  skipped_step: { step: number; why: string };
  rolled_back: { step: number; toStep: number; why: string };
  skipped_data: { path: string; line?: number | undefined; code: string; message: string; count: number };
  interrupted: { step: number };
  finished: { step: number; ms: number };
  failed: { code: string; message: string };
  report_failed: { message: string };
  /** Events that could not be written: the disk was full. */
  lost_events: { count: number };
}

export type RunEventType = keyof EventFields;

/** An event as it is handed to `RunLog.append`. */
export type NewRunEvent = { [K in RunEventType]: { type: K } & EventFields[K] }[RunEventType];

/** `at`: when it was written, ISO 8601. */
export type RunEvent = NewRunEvent & { at: string };
export type EventOf<K extends RunEventType> = Extract<RunEvent, { type: K }>;

type Check = (value: unknown) => boolean;

const isNumber: Check = (value) => typeof value === 'number';
const isText: Check = (value) => typeof value === 'string';
const isObject: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isNumberOrNull: Check = (value) => value === null || isNumber(value);
const isMetrics: Check = (value) => isObject(value) && Object.values(value as object).every(isNumber);
const isHeldOut: Check = (value) => isObject(value) && Object.values(value as object).every(isMetrics);
const isNumbers: Check = (value) => Array.isArray(value) && value.every(isNumber);
const isTable: Check = (value) => Array.isArray(value) && value.every(isNumbers);
const isRouter: Check = (value) => {
  const { load, bias } = (isObject(value) ? value : {}) as Partial<RouterLoad>;
  return isTable(load) && isTable(bias);
};
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);

const CHECKS: { [K in RunEventType]: { [F in keyof Required<EventFields[K]>]: Check } } = {
  started: {
    stage: isText,
    name: isText,
    parameters: isNumber,
    activeParameters: isNumber,
    flopsPerToken: isNumber,
    peakGflops: isNumberOrNull,
    predictedMs: isNumberOrNull,
    resumedAtStep: isNumberOrNull,
    workers: isNumber,
    settings: isObject,
    data: isObject,
  },
  step: {
    step: isNumber,
    steps: isNumber,
    tokens: isNumber,
    metrics: isMetrics,
    learningRate: isNumber,
    gradientNorm: isNumber,
    tokensPerSecond: isNumber,
    peakShare: isNumberOrNull,
    etaMs: isNumber,
    rssBytes: isNumber,
    deviceBytes: optional(isNumber),
    router: optional(isRouter),
  },
  evaluation: { step: isNumber, heldOut: isHeldOut },
  saved: { step: isNumber, bytes: isNumber, ms: isNumber },
  save_failed: { step: isNumber, code: isText, message: isText },
  skipped_step: { step: isNumber, why: isText },
  rolled_back: { step: isNumber, toStep: isNumber, why: isText },
  skipped_data: { path: isText, line: optional(isNumber), code: isText, message: isText, count: isNumber },
  interrupted: { step: isNumber },
  finished: { step: isNumber, ms: isNumber },
  failed: { code: isText, message: isText },
  report_failed: { message: isText },
  lost_events: { count: isNumber },
};

/** A line of `events.jsonl`. `broken`: no JSON, or fields that its type must have are missing or of another kind. */
export type ParsedLine =
  | { kind: 'event'; event: RunEvent }
  | { kind: 'unknown'; value: { type: string; at: string } & Record<string, unknown> }
  | { kind: 'broken' };

export function parseEvent(line: string): ParsedLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { kind: 'broken' };
  }
  if (!isObject(value)) return { kind: 'broken' };
  const fields = value as { type: string; at: string } & Record<string, unknown>;
  if (!isText(fields.type) || !isText(fields.at) || Number.isNaN(Date.parse(fields.at))) return { kind: 'broken' };
  if (!Object.hasOwn(CHECKS, fields.type)) return { kind: 'unknown', value: fields };
  const checks = Object.entries(CHECKS[fields.type as RunEventType]) as [string, Check][];
  return checks.every(([name, check]) => check(fields[name]))
    ? { kind: 'event', event: fields as unknown as RunEvent }
    : { kind: 'broken' };
}
