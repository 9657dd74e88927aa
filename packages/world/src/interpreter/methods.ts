/** @file The methods of strings and lists. */
import { place } from './arithmetic.ts';
import { sort } from './builtins.ts';
import { equal, ListValue, type Meter, toArray, toInteger, typeName, type Value } from './values.ts';

type Method<Of> = [min: number, max: number, run: (of: Of, args: Value[], meter: Meter) => Value];

const STRING_METHODS: Record<string, Method<string>> = {
  upper: [0, 0, (of, _, meter) => made(of.toUpperCase(), meter)],
  lower: [0, 0, (of, _, meter) => made(of.toLowerCase(), meter)],
  strip: [0, 0, (of, _, meter) => made(of.trim(), meter)],
  isdigit: [0, 0, (of) => /^[0-9]+$/.test(of)],
  isalpha: [0, 0, (of) => /^[A-Za-z]+$/.test(of)],
  startswith: [1, 1, (of, [part], meter) => of.startsWith(text(part!, meter))],
  endswith: [1, 1, (of, [part], meter) => of.endsWith(text(part!, meter))],
  count: [1, 1, (of, [part], meter) => occurrences(of, text(part!, meter))],
  find: [1, 1, (of, [part], meter) => of.indexOf(text(part!, meter))],
  replace: [2, 2, (of, [from, to], meter) => replaced(of, text(from!, meter), text(to!, meter), meter)],
  split: [0, 1, (of, [by], meter) => split(of, by === undefined ? null : text(by, meter), meter)],
  join: [1, 1, (of, [parts], meter) => joined(of, toArray(parts!, meter), meter)],
};

const LIST_METHODS: Record<string, Method<ListValue>> = {
  append: [1, 1, (of, [item], meter) => insert(of, of.items.length, item!, meter)],
  extend: [1, 1, (of, [items], meter) => extend(of, toArray(items!, meter))],
  insert: [2, 2, (of, [at, item], meter) => insert(of, toInteger(at!, meter), item!, meter)],
  pop: [0, 1, (of, [at = -1], meter) => remove(of, place(at, of.items.length, meter), meter)],
  remove: [1, 1, (of, [item], meter) => forget(of, item!, meter)],
  index: [1, 1, (of, [item], meter) => indexOf(of, item!, meter)],
  count: [1, 1, (of, [item], meter) => of.items.filter((one) => equal(one, item!, meter)).length],
  copy: [0, 0, (of, _, meter) => new ListValue(toArray(of, meter))],
  reverse: [0, 0, (of, _, meter) => fill(of, toArray(of, meter).reverse())],
  sort: [0, 0, (of, _, meter) => fill(of, sort(toArray(of, meter), meter))],
};

export function callMethod(of: Value, name: string, args: Value[], meter: Meter): Value {
  if (typeof of === 'string') {
    meter.step(of.length);
    return call(STRING_METHODS, of, name, args, meter);
  }
  if (of instanceof ListValue && !of.isTuple) return call(LIST_METHODS, of, name, args, meter);
  return meter.fail(`${typeName(of)} has no method ${name}`);
}

function call<Of extends Value>(
  methods: Record<string, Method<Of>>,
  of: Of,
  name: string,
  args: Value[],
  meter: Meter,
) {
  if (!Object.hasOwn(methods, name)) return meter.fail(`${typeName(of)} has no method ${name}`);
  const [min, max, run] = methods[name]!;
  if (args.length < min || args.length > max) meter.fail(`${name} takes ${min} to ${max} values, got ${args.length}`);
  return run(of, args, meter);
}

/** The list with other elements: what other names see changes too. */
function fill(of: ListValue, items: Value[]): null {
  of.items.length = 0;
  for (const item of items) of.items.push(item);
  return null;
}

function extend(of: ListValue, items: Value[]): null {
  for (const item of items) of.items.push(item);
  return null;
}

function forget(of: ListValue, item: Value, meter: Meter): null {
  remove(of, indexOf(of, item, meter), meter);
  return null;
}

function insert(of: ListValue, at: number, item: Value, meter: Meter): null {
  meter.allocate(1);
  const from = at < 0 ? Math.max(0, at + of.items.length) : Math.min(at, of.items.length);
  meter.step(of.items.length - from);
  of.items.splice(from, 0, item);
  return null;
}

function remove(of: ListValue, at: number, meter: Meter): Value {
  meter.step(of.items.length - at);
  return of.items.splice(at, 1)[0] ?? null;
}

function text(value: Value, meter: Meter): string {
  if (typeof value !== 'string') return meter.fail(`expected a str, got ${typeName(value)}`);
  meter.step(value.length);
  return value;
}

function made(value: string, meter: Meter): string {
  meter.allocate(value.length);
  return value;
}

function indexOf(of: ListValue, item: Value, meter: Meter): number {
  const at = of.items.findIndex((one) => equal(one, item, meter));
  return at >= 0 ? at : meter.fail('not in the list');
}

function occurrences(of: string, part: string): number {
  return part === '' ? of.length + 1 : of.split(part).length - 1;
}

function replaced(of: string, from: string, to: string, meter: Meter): string {
  if (from === '') return meter.fail('replace of nothing');
  const parts = of.split(from);
  meter.allocate(of.length + parts.length * to.length);
  return parts.join(to);
}

function split(of: string, by: string | null, meter: Meter): Value {
  if (by === '') return meter.fail('split by nothing');
  meter.allocate(2 * of.length + 1);
  return new ListValue(by === null ? of.split(/\s+/).filter((part) => part !== '') : of.split(by));
}

function joined(by: string, items: Value[], meter: Meter): string {
  const parts = items.map((item) => text(item, meter));
  meter.allocate(parts.reduce((sum, part) => sum + part.length, 0) + by.length * parts.length);
  return parts.join(by);
}
