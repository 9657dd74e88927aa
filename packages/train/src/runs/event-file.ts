/**
 * @file Reading `events.jsonl` of any length in bounded memory, forwards and from its end; of a long run only as many steps as
 * a summary can show. A run that resumes at step s, or rolls back to it, repeats the steps after s: what was told of them before
 * does not count.
 */
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { type ParsedLine, parseEvent, type RunEvent } from './events.ts';

const CHUNK_BYTES = 1 << 20;
const NEWLINE = 10;
/** Any event that takes steps back names the step so: a cheap look before a line is parsed. */
const STEP_BACK = /"(?:resumedAtStep|toStep)":/;

/** A run that begins anew goes back beyond every step. */
const ANOTHER_RUN = Number.NEGATIVE_INFINITY;

/** Of longer runs so many steps are read, evenly spread: more than any plot has points. */
const MOST_STEPS = 2 ** 14;
/** How `RunLog` begins the line of a step. */
const STEP_LINE = '{"type":"step"';
const ROUTER = Buffer.from('"router":');
const CLOSING_BRACE = 125;

export interface EventReader {
  /** In order, without steps that were repeated later; of a long run some of its steps, all else and the step before it. */
  events: Iterable<RunEvent>;
  /** Complete lines so far that are no event, and events of types that this version does not know. */
  readonly brokenLines: number;
  readonly unknownEvents: number;
  /** Of so many steps one at least is among the events that are being read. */
  readonly every: number;
}

/**
 * A missing file has no events; a last line without its end is still being written and is left out.
 * @param options.mostSteps from twice as many on, steps are left out; those that tell the load of experts never are
 */
export function readEvents(path: string, { mostSteps = MOST_STEPS } = {}): EventReader {
  const counts = { brokenLines: 0, unknownEvents: 0, every: 1 };
  return {
    get events() {
      return wholeEvents(path, mostSteps, counts);
    },
    get brokenLines() {
      return counts.brokenLines;
    },
    get unknownEvents() {
      return counts.unknownEvents;
    },
    get every() {
      return counts.every;
    },
  };
}

function* wholeEvents(
  path: string,
  mostSteps: number,
  counts: { brokenLines: number; unknownEvents: number; every: number },
): Generator<RunEvent> {
  const { cuts, steps } = survey(path);
  const every = Math.max(1, Math.floor(steps / mostSteps));
  counts.every = every;
  let line = 0;
  let next = 0;
  let stepsSeen = 0;
  /** The newest step, where it was left out. */
  let passed: { bytes: Buffer; after: number } | null = null;
  function* eventIn(bytes: Buffer, after: number): Generator<RunEvent> {
    const parsed = parseEvent(bytes.toString());
    if (parsed.kind === 'broken') counts.brokenLines++;
    else if (parsed.kind === 'unknown') counts.unknownEvents++;
    else if (!isRepeated(parsed.event, after)) yield parsed.event;
  }
  for (const bytes of linesOf(path)) {
    while (next < cuts.length && (cuts[next]?.line as number) <= line) next++;
    line++;
    const after = cuts[next]?.step ?? Number.POSITIVE_INFINITY;
    const isStep = every > 1 && isStepLine(bytes);
    if (isStep && (after === ANOTHER_RUN || (stepsSeen++ % every > 0 && !bytes.includes(ROUTER)))) {
      passed = { bytes, after };
      continue;
    }
    if (passed && !isStep) yield* eventIn(passed.bytes, passed.after);
    passed = null;
    yield* eventIn(bytes, after);
  }
  if (passed) yield* eventIn(passed.bytes, passed.after);
}

/** Without reading what it says. A line of a step that is cut or has its fields in another order is none. */
function isStepLine(bytes: Buffer): boolean {
  return bytes.at(-1) === CLOSING_BRACE && bytes.toString('latin1', 0, STEP_LINE.length) === STEP_LINE;
}

/**
 * Where steps are taken back, with the lowest step that any of the later ones goes back to; and how many lines of steps the
 * run has since it last began anew.
 */
function survey(path: string): { cuts: { line: number; step: number }[]; steps: number } {
  const cuts: { line: number; step: number }[] = [];
  let line = 0;
  let steps = 0;
  for (const bytes of linesOf(path)) {
    if (isStepLine(bytes)) steps++;
    else {
      const text = bytes.toString();
      const step = STEP_BACK.test(text) ? stepBackOf(parseEvent(text)) : null;
      if (step !== null) cuts.push({ line, step });
      if (step === ANOTHER_RUN) steps = 0;
    }
    line++;
  }
  for (let i = cuts.length - 2; i >= 0; i--) {
    const [cut, after] = [cuts[i], cuts[i + 1]] as [{ step: number }, { step: number }];
    cut.step = Math.min(cut.step, after.step);
  }
  return { cuts, steps };
}

function stepBackOf(parsed: ParsedLine): number | null {
  if (parsed.kind !== 'event') return null;
  const { event } = parsed;
  return event.type === 'started'
    ? (event.resumedAtStep ?? ANOTHER_RUN)
    : event.type === 'rolled_back'
      ? event.toStep
      : null;
}

function isRepeated(event: RunEvent, after: number): boolean {
  if (after === ANOTHER_RUN) return true;
  return (event.type === 'step' || event.type === 'evaluation') && event.step > after;
}

export interface LatestEvents {
  step?: Extract<RunEvent, { type: 'step' }>;
  evaluation?: Extract<RunEvent, { type: 'evaluation' }>;
  /** What ended the run last; absent when a later part of it began. */
  end?: Extract<RunEvent, { type: 'finished' | 'interrupted' | 'failed' }>;
}

/** How a run stands, from the end of its file: reads no more than it must, at most `limitBytes`. */
export function latestEvents(path: string, limitBytes = 8 * CHUNK_BYTES): LatestEvents {
  const latest: LatestEvents = {};
  let after = Number.POSITIVE_INFINITY;
  let hasBegun = false;
  for (const text of linesFromEnd(path, limitBytes)) {
    if (latest.step && text.startsWith(STEP_LINE)) continue;
    const parsed = parseEvent(text);
    if (parsed.kind !== 'event') continue;
    const { event } = parsed;
    if (event.type === 'step' && event.step <= after) latest.step ??= event;
    if (event.type === 'evaluation' && event.step <= after) latest.evaluation ??= event;
    if (event.type === 'finished' || event.type === 'interrupted' || event.type === 'failed') {
      if (!hasBegun) latest.end ??= event;
    }
    hasBegun ||= event.type === 'started';
    after = Math.min(after, stepBackOf(parsed) ?? after);
    if ((latest.step && latest.evaluation) || after === ANOTHER_RUN) break;
  }
  return latest;
}

/** Complete lines, without their ends. */
function* linesOf(path: string): Generator<Buffer> {
  if (!existsSync(path)) return;
  const fd = openSync(path, 'r');
  try {
    let rest = Buffer.alloc(0);
    for (;;) {
      // A new one each time: lines of the one before may still be looked at.
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const count = readSync(fd, chunk, 0, CHUNK_BYTES, null);
      if (count === 0) break;
      const bytes = rest.length > 0 ? Buffer.concat([rest, chunk.subarray(0, count)]) : chunk.subarray(0, count);
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        yield bytes.subarray(start, end);
        start = end + 1;
      }
      rest = bytes.subarray(start);
    }
  } finally {
    closeSync(fd);
  }
}

/** Complete lines of the last `limitBytes`, last one first. */
function* linesFromEnd(path: string, limitBytes: number): Generator<string> {
  if (!existsSync(path)) return;
  const fd = openSync(path, 'r');
  try {
    const size = fstatSync(fd).size;
    const stop = Math.max(0, size - limitBytes);
    let end = size;
    // Bytes before the first end of line found so far: the last part of a line that begins further up.
    let rest = Buffer.alloc(0);
    let isTail = true;
    while (end > stop) {
      const start = Math.max(stop, end - CHUNK_BYTES / 16);
      const bytes = Buffer.concat([readAt(fd, start, end), rest]);
      let to = bytes.length;
      for (let at = bytes.lastIndexOf(NEWLINE); at >= 0; at = to > 0 ? bytes.lastIndexOf(NEWLINE, to - 1) : -1) {
        if (!isTail) yield bytes.toString('utf8', at + 1, to);
        isTail = false;
        to = at;
      }
      rest = bytes.subarray(0, to);
      end = start;
    }
    if (end === 0 && !isTail) yield rest.toString('utf8');
  } finally {
    closeSync(fd);
  }
}

function readAt(fd: number, start: number, end: number): Buffer {
  const bytes = Buffer.allocUnsafe(end - start);
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(fd, bytes, done, bytes.length - done, start + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}

/** Cuts what follows the last end of line: a line that a killed process did not finish. @returns the length that is left */
export function cutTornLine(fd: number): number {
  const size = fstatSync(fd).size;
  let end = size;
  while (end > 0) {
    const start = Math.max(0, end - CHUNK_BYTES / 16);
    const at = readAt(fd, start, end).lastIndexOf(NEWLINE);
    if (at >= 0) {
      end = start + at + 1;
      break;
    }
    end = start;
  }
  if (end < size) ftruncateSync(fd, end);
  return end;
}
