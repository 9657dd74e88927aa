/** @file Operators with the meaning of Python, on integers within 2^53. */
import { ListValue, lengthOf, type Meter, toInteger, typeName, type Value } from './values.ts';

export function binary(sign: string, a: Value, b: Value, meter: Meter): Value {
  if (sign === '+' && typeof a === 'string' && typeof b === 'string') {
    meter.allocate(a.length + b.length);
    return a + b;
  }
  if (sign === '+' && a instanceof ListValue && b instanceof ListValue && a.isTuple === b.isTuple) {
    meter.allocate(a.items.length + b.items.length);
    return new ListValue([...a.items, ...b.items], a.isTuple);
  }
  if (sign === '*' && (typeof a === 'string' || a instanceof ListValue)) return repeated(a, toInteger(b, meter), meter);
  if (sign === '*' && (typeof b === 'string' || b instanceof ListValue)) return repeated(b, toInteger(a, meter), meter);
  if (!isNumber(a) || !isNumber(b)) return meter.fail(`no ${sign} for ${typeName(a)} and ${typeName(b)}`);
  return checked(onIntegers(sign, Number(a), Number(b), meter), meter);
}

function isNumber(value: Value): value is number | boolean {
  return typeof value === 'number' || typeof value === 'boolean';
}

function onIntegers(sign: string, a: number, b: number, meter: Meter): number {
  if (sign === '+') return a + b;
  if (sign === '-') return a - b;
  if (sign === '*') return a * b;
  if (sign === '**') return power(a, b, meter);
  if (b === 0) meter.fail('division by zero');
  // Exact, unlike Math.floor(a / b): a - rest is a multiple of b.
  const rest = a % b;
  const isShifted = rest !== 0 && rest < 0 !== b < 0;
  if (sign === '%') return isShifted ? rest + b : rest;
  return (a - rest) / b - (isShifted ? 1 : 0);
}

/** By repeated multiplication: `Math.pow` may be off by one in the last place. */
function power(base: number, exponent: number, meter: Meter): number {
  if (exponent < 0) meter.fail('negative exponent');
  if (Math.abs(base) <= 1) return exponent === 0 ? 1 : base < 0 && exponent % 2 === 0 ? 1 : base;
  let value = 1;
  for (let i = 0; i < exponent; i++) {
    meter.step();
    value = checked(value * base, meter);
  }
  return value;
}

export function checked(value: number, meter: Meter): number {
  if (!Number.isSafeInteger(value)) meter.fail('number too large');
  return value === 0 ? 0 : value; // no negative zero
}

function repeated(value: string | ListValue, count: number, meter: Meter): Value {
  const times = Math.max(0, count);
  meter.allocate(lengthOf(value, meter) * times);
  if (typeof value === 'string') return value.repeat(value === '' ? 0 : times);
  const items: Value[] = [];
  for (let i = 0; i < times && value.items.length > 0; i++) items.push(...value.items);
  return new ListValue(items, value.isTuple);
}

/** The place that an index names, from the end when negative. */
export function place(index: Value, length: number, meter: Meter): number {
  const at = toInteger(index, meter);
  const from = at < 0 ? at + length : at;
  return from >= 0 && from < length ? from : meter.fail(`index ${at} is out of range`);
}

export function slice(value: Value, parts: (Value | null)[], meter: Meter): Value {
  if (typeof value !== 'string' && !(value instanceof ListValue)) return meter.fail(`cannot slice ${typeName(value)}`);
  const length = lengthOf(value, meter);
  const [from, to, by] = parts.map((part) => (part === null ? null : toInteger(part, meter)));
  const step = by ?? 1;
  if (step === 0) meter.fail('slice step is zero');
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
  const bound = (at: number) => Math.min(high, Math.max(low, at < 0 ? at + length : at));
  const start = from == null ? (step > 0 ? 0 : length - 1) : bound(from);
  const end = to == null ? (step > 0 ? length : -1) : bound(to);
  const places: number[] = [];
  for (let i = start; step > 0 ? i < end : i > end; i += step) {
    meter.allocate(1);
    places.push(i);
  }
  if (typeof value === 'string') return places.map((i) => value[i]).join('');
  return new ListValue(
    places.map((i) => value.items[i] ?? null),
    value.isTuple,
  );
}
