/** @file The functions that every program has; methods are in methods.ts. */
import { checked } from './arithmetic.ts';
import {
  compare,
  elements,
  isTrue,
  ListValue,
  lengthOf,
  type Meter,
  RangeValue,
  show,
  toArray,
  toInteger,
  type Value,
} from './values.ts';

type Builtin = (args: Value[], meter: Meter) => Value;

/** With how many arguments it may be called, and what it does. */
const FUNCTIONS: Record<string, [min: number, max: number, run: Builtin]> = {
  abs: [1, 1, ([value], meter) => Math.abs(toInteger(value!, meter))],
  len: [1, 1, ([value], meter) => lengthOf(value!, meter)],
  int: [1, 1, ([value], meter) => parseInteger(value!, meter)],
  str: [1, 1, ([value], meter) => show(value!, meter)],
  bool: [1, 1, ([value]) => isTrue(value!)],
  list: [0, 1, ([value = new ListValue([])], meter) => new ListValue(toArray(value, meter))],
  tuple: [0, 1, ([value = new ListValue([])], meter) => new ListValue(toArray(value, meter), true)],
  sorted: [1, 1, ([value], meter) => new ListValue(sort(toArray(value!, meter), meter))],
  reversed: [1, 1, ([value], meter) => new ListValue(toArray(value!, meter).reverse())],
  range: [1, 3, range],
  sum: [
    1,
    1,
    ([value], meter) => reduce<number>(value!, meter, 0, (sum, item) => checked(sum + toInteger(item, meter), meter)),
  ],
  all: [1, 1, ([value], meter) => reduce<boolean>(value!, meter, true, (sofar, item) => sofar && isTrue(item))],
  any: [1, 1, ([value], meter) => reduce<boolean>(value!, meter, false, (sofar, item) => sofar || isTrue(item))],
  min: [1, 16, (args, meter) => extreme(args, -1, meter)],
  max: [1, 16, (args, meter) => extreme(args, 1, meter)],
  enumerate: [
    1,
    1,
    ([value], meter) =>
      pairs(
        toArray(value!, meter).map((item, i) => [i, item]),
        meter,
      ),
  ],
  zip: [
    2,
    2,
    (args, meter) => {
      const [a, b] = args.map((value) => toArray(value, meter)) as [Value[], Value[]];
      return pairs(
        a.slice(0, b.length).map((item, i) => [item, b[i]!]),
        meter,
      );
    },
  ],
  ord: [
    1,
    1,
    ([value], meter) =>
      typeof value === 'string' && value.length === 1 ? value.charCodeAt(0) : meter.fail('ord of one character only'),
  ],
  chr: [1, 1, ([value], meter) => String.fromCharCode(Math.min(0xffff, Math.max(0, toInteger(value!, meter))))],
};

export function isBuiltin(name: string): boolean {
  return Object.hasOwn(FUNCTIONS, name);
}

export function callBuiltin(name: string, args: Value[], meter: Meter): Value {
  const [min, max, run] = FUNCTIONS[name]!;
  if (args.length < min || args.length > max) meter.fail(`${name} takes ${min} to ${max} values, got ${args.length}`);
  return run(args, meter);
}

function pairs(rows: [Value, Value][], meter: Meter): ListValue {
  meter.allocate(2 * rows.length);
  return new ListValue(rows.map((row) => new ListValue(row, true)));
}

function parseInteger(value: Value, meter: Meter): number {
  if (typeof value !== 'string') return toInteger(value, meter);
  return /^\s*[-+]?[0-9]{1,15}\s*$/.test(value) ? checked(Number(value), meter) : meter.fail('int of something else');
}

function range(args: Value[], meter: Meter): Value {
  const numbers = args.map((value) => toInteger(value, meter));
  const [from, to, by] = numbers.length === 1 ? [0, numbers[0]!, 1] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1];
  return by === 0 ? meter.fail('range step is zero') : new RangeValue(from, to, by);
}

function reduce<T extends Value>(value: Value, meter: Meter, start: T, add: (sofar: T, item: Value) => T): T {
  let sofar = start;
  for (const item of elements(value, meter)) sofar = add(sofar, item);
  return sofar;
}

function extreme(args: Value[], sign: number, meter: Meter): Value {
  const items = args.length === 1 ? toArray(args[0]!, meter) : args;
  if (items.length === 0) meter.fail('min or max of nothing');
  return items.reduce((best, item) => (sign * compare(item, best, meter) > 0 ? item : best));
}

/** In place, stable; each comparison is charged. */
export function sort(items: Value[], meter: Meter): Value[] {
  return items.sort((a, b) => compare(a, b, meter));
}
