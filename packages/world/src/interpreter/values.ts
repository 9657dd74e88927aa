/** @file Values of a running program, and what holds for all of them. What is costly takes the meter that charges for it. */
import { fail, MAX_DEPTH, type ProgramLimits } from './limits.ts';

export class ListValue {
  readonly items: Value[];
  readonly isTuple: boolean;

  constructor(items: Value[], isTuple = false) {
    this.items = items;
    this.isTuple = isTuple;
  }
}

/** Counted without being made: `range(10**9)` costs nothing until it is walked. */
export class RangeValue {
  readonly from: number;
  readonly to: number;
  readonly by: number;

  constructor(from: number, to: number, by: number) {
    this.from = from;
    this.to = to;
    this.by = by;
  }

  get length(): number {
    return Math.max(0, Math.ceil((this.to - this.from) / this.by));
  }
}

/** Numbers are integers within 2^53. */
export type Value = number | boolean | string | null | ListValue | RangeValue;

/** Counts what a program uses. */
export class Meter {
  /** Of the statement that runs, for messages. */
  line = 1;
  readonly #limits: ProgramLimits;
  #steps = 0;
  #cells = 0;
  #calls = 0;
  #depth = 0;

  constructor(limits: ProgramLimits) {
    this.#limits = limits;
  }

  step(count = 1): void {
    this.#steps += count;
    if (this.#steps > this.#limits.steps) fail(this.line, `too many steps, at most ${this.#limits.steps}`);
  }

  /** To be asked before the memory is taken. */
  allocate(cells: number): void {
    this.#cells += cells;
    if (this.#cells > this.#limits.cells) fail(this.line, `too much memory, at most ${this.#limits.cells} cells`);
    this.step(cells);
  }

  within<T>(inner: () => T): T {
    if (++this.#depth > MAX_DEPTH) fail(this.line, 'nested too deeply');
    const value = inner();
    this.#depth--;
    return value;
  }

  call<T>(inner: () => T): T {
    if (++this.#calls > this.#limits.calls)
      fail(this.line, `too many calls within each other, at most ${this.#limits.calls}`);
    const value = inner();
    this.#calls--;
    return value;
  }

  fail(what: string): never {
    fail(this.line, what);
  }
}

export function typeName(value: Value): string {
  if (value === null) return 'None';
  if (value instanceof ListValue) return value.isTuple ? 'tuple' : 'list';
  if (value instanceof RangeValue) return 'range';
  return { number: 'int', boolean: 'bool', string: 'str' }[typeof value as 'number' | 'boolean' | 'string'];
}

export function isTrue(value: Value): boolean {
  if (value instanceof ListValue) return value.items.length > 0;
  if (value instanceof RangeValue) return value.length > 0;
  return Boolean(value);
}

/** Booleans count as 0 and 1. */
export function toInteger(value: Value, meter: Meter): number {
  return typeof value === 'number' || typeof value === 'boolean'
    ? Number(value)
    : meter.fail(`expected an int, got ${typeName(value)}`);
}

/** The elements of what can be walked, each charged when it is reached. */
export function* elements(value: Value, meter: Meter): Generator<Value> {
  if (value instanceof RangeValue) {
    for (let i = value.from; value.by > 0 ? i < value.to : i > value.to; i += value.by) {
      meter.step();
      yield i;
    }
  } else if (value instanceof ListValue) {
    // By index: a loop may lengthen the list that it walks.
    for (let i = 0; i < value.items.length; i++) {
      meter.step();
      yield value.items[i]!;
    }
  } else if (typeof value === 'string') {
    for (let i = 0; i < value.length; i++) {
      meter.step();
      yield value[i]!;
    }
  } else meter.fail(`cannot walk ${typeName(value)}`);
}

export function toArray(value: Value, meter: Meter): Value[] {
  const items: Value[] = [];
  for (const item of elements(value, meter)) {
    meter.allocate(1);
    items.push(item);
  }
  return items;
}

export function lengthOf(value: Value, meter: Meter): number {
  if (value instanceof ListValue) return value.items.length;
  if (value instanceof RangeValue || typeof value === 'string') return value.length;
  return meter.fail(`${typeName(value)} has no length`);
}

export function equal(a: Value, b: Value, meter: Meter): boolean {
  meter.step();
  const isNumber = (value: Value) => typeof value === 'number' || typeof value === 'boolean';
  if (isNumber(a) && isNumber(b)) return Number(a) === Number(b);
  if (typeof a === 'string' && typeof b === 'string') meter.step(Math.min(a.length, b.length));
  if (!(a instanceof ListValue && b instanceof ListValue)) return a === b;
  if (a.isTuple !== b.isTuple || a.items.length !== b.items.length) return false;
  return meter.within(() => a.items.every((item, i) => equal(item, b.items[i] ?? null, meter)));
}

/** Below 0 when a comes first. Numbers by value, strings by code unit, lists by their first difference. */
export function compare(a: Value, b: Value, meter: Meter): number {
  meter.step();
  if (typeof a === 'string' && typeof b === 'string') {
    meter.step(Math.min(a.length, b.length));
    return a < b ? -1 : a > b ? 1 : 0;
  }
  if (a instanceof ListValue && b instanceof ListValue && a.isTuple === b.isTuple) {
    return meter.within(() => {
      const count = Math.min(a.items.length, b.items.length);
      for (let i = 0; i < count; i++) {
        const [left, right] = [a.items[i] ?? null, b.items[i] ?? null];
        if (!equal(left, right, meter)) return compare(left, right, meter);
      }
      return a.items.length - b.items.length;
    });
  }
  return toInteger(a, meter) - toInteger(b, meter);
}

/** As `str` and `print` show it; `repr` of what is inside lists. Charged. */
export function show(value: Value, meter: Meter, isInside = false): string {
  const text = plain(value, meter, isInside);
  meter.allocate(text.length);
  return text;
}

function plain(value: Value, meter: Meter, isInside: boolean): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return isInside ? quoted(value) : value;
  if (value instanceof RangeValue) return `range(${value.from}, ${value.to})`;
  const parts = meter.within(() => value.items.map((item) => show(item, meter, true)));
  if (!value.isTuple) return `[${parts.join(', ')}]`;
  return parts.length === 1 ? `(${parts[0]},)` : `(${parts.join(', ')})`;
}

/** Single quotes, unless only single quotes are inside; as Python does it. */
function quoted(text: string): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\t', '\\t');
  if (text.includes("'") && !text.includes('"')) return `"${escaped}"`;
  return `'${escaped.replaceAll("'", "\\'")}'`;
}
