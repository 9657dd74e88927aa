/**
 * @file Reading `events.jsonl` of any length in bounded memory, forwards and from its end. A run that resumes at step s, or
 * rolls back to it, repeats the steps after s: what was told of them before does not count.
 */
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { type ParsedLine, parseEvent, type RunEvent } from './events.ts';

const CHUNK_BYTES = 1 << 20;
const NEWLINE = 10;
/** Any event that takes steps back names the step so: a cheap look before a line is parsed. */
const STEP_BACK = /"(?:resumedAtStep|toStep)":/;

/** A run that begins anew goes back beyond every step. */
const ANOTHER_RUN = Number.NEGATIVE_INFINITY;

export interface EventReader {
  /** In order, without steps that were repeated later. */
  events: Iterable<RunEvent>;
  /** Complete lines so far that are no event, and events of types that this version does not know. */
  readonly brokenLines: number;
  readonly unknownEvents: number;
}

/** A missing file has no events; a last line without its end is still being written and is left out. */
export function readEvents(path: string): EventReader {
  const counts = { brokenLines: 0, unknownEvents: 0 };
  return {
    get events() {
      return wholeEvents(path, counts);
    },
    get brokenLines() {
      return counts.brokenLines;
    },
    get unknownEvents() {
      return counts.unknownEvents;
    },
  };
}

function* wholeEvents(path: string, counts: { brokenLines: number; unknownEvents: number }): Generator<RunEvent> {
  const cuts = stepsBack(path);
  let line = 0;
  let next = 0;
  for (const text of linesOf(path)) {
    while (next < cuts.length && (cuts[next]?.line as number) <= line) next++;
    line++;
    const parsed = parseEvent(text);
    if (parsed.kind === 'broken') counts.brokenLines++;
    else if (parsed.kind === 'unknown') counts.unknownEvents++;
    else if (!isRepeated(parsed.event, cuts[next]?.step ?? Number.POSITIVE_INFINITY)) yield parsed.event;
  }
}

/** Where steps are taken back, with the lowest step that any of the later ones goes back to. */
function stepsBack(path: string): { line: number; step: number }[] {
  const cuts: { line: number; step: number }[] = [];
  let line = 0;
  for (const text of linesOf(path)) {
    const step = STEP_BACK.test(text) ? stepBackOf(parseEvent(text)) : null;
    if (step !== null) cuts.push({ line, step });
    line++;
  }
  for (let i = cuts.length - 2; i >= 0; i--) {
    const [cut, after] = [cuts[i], cuts[i + 1]] as [{ step: number }, { step: number }];
    cut.step = Math.min(cut.step, after.step);
  }
  return cuts;
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
export function* linesOf(path: string): Generator<string> {
  if (!existsSync(path)) return;
  const fd = openSync(path, 'r');
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    let rest = Buffer.alloc(0);
    for (let count = readSync(fd, chunk, 0, CHUNK_BYTES, null); count > 0; ) {
      const bytes = rest.length > 0 ? Buffer.concat([rest, chunk.subarray(0, count)]) : chunk.subarray(0, count);
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        yield bytes.toString('utf8', start, end);
        start = end + 1;
      }
      rest = Buffer.from(bytes.subarray(start));
      count = readSync(fd, chunk, 0, CHUNK_BYTES, null);
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
