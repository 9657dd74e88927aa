/** @file Fields of an untrusted config.json: what each may be, and every issue of those that are something else. */
import type { Issue } from '@quasar/base';
import { show, showName } from '../show.ts';

/** What a field may be: the type it must have, then the values. */
export interface Kind {
  /** As in `expected a number, got "5"`. */
  type: string;
  hasType(value: unknown): boolean;
  /** As in `expected a whole number from 1 to 64, got 0`. */
  expects: string;
  holds(value: unknown): boolean;
  /** Of a value that does not hold. */
  code: 'config.out_of_range' | 'config.wrong_value';
}

const isNumber = (value: unknown) => typeof value === 'number' && Number.isFinite(value);

function number(expects: string, holds: (value: number) => boolean): Kind {
  const code = 'config.out_of_range';
  return { type: 'a number', hasType: isNumber, expects, holds: (value) => holds(value as number), code };
}

/** The default upper end is far above any sensible model: it bounds what a stranger's config can make a reader allocate. */
export const whole = (low: number, high = 2 ** 24): Kind =>
  number(`a whole number from ${low} to ${high}`, (x) => Number.isInteger(x) && x >= low && x <= high);
export const upTo = (low: number, high: number): Kind =>
  number(`a number from ${low} to ${high}`, (x) => x >= low && x <= high);
/** The ends do not belong to it. */
export const between = (low: number, high: number): Kind =>
  number(`a number above ${low} and below ${high}`, (x) => x > low && x < high);

/** One of some plain values, all of one type. */
export function only(...values: readonly (string | number | boolean | null)[]): Kind {
  const [first] = values;
  const type = first === null ? 'null' : `a ${typeof first}`;
  return {
    type,
    hasType(value) {
      if (first === null) return value === null;
      return typeof first === 'number' ? isNumber(value) : typeof value === typeof first;
    },
    expects: values.map((value) => JSON.stringify(value)).join(' or '),
    holds: (value) => values.some((one) => one === value),
    code: 'config.wrong_value',
  };
}

export const flag: Kind = only(true, false);

/** A list of at most so many values of a kind. */
export const listOf = (kind: Kind, most: number): Kind => ({
  type: 'a list',
  hasType: Array.isArray,
  expects: `a list of at most ${most}, each ${kind.expects}`,
  holds: (value) =>
    (value as unknown[]).length <= most && (value as unknown[]).every((x) => kind.hasType(x) && kind.holds(x)),
  code: kind.code,
});

/** What either of two kinds may be. */
export const either = (one: Kind, other: Kind): Kind => ({
  type: `${one.type} or ${other.type}`,
  hasType: (value) => one.hasType(value) || other.hasType(value),
  expects: `${one.expects} or ${other.expects}`,
  holds: (value) => [one, other].some((kind) => kind.hasType(value) && kind.holds(value)),
  code: other.code,
});

export const orNull = (kind: Kind): Kind => either(only(null), kind);

/** Of fields of its own, read apart. */
export const object: Kind = {
  type: 'an object',
  hasType: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  expects: 'an object',
  holds: () => true,
  code: 'config.wrong_value',
};

export interface Fields {
  /** Each must be there. */
  required: Readonly<Record<string, Kind>>;
  /** Each may be there. */
  optional: Readonly<Record<string, Kind>>;
  /** Read by other programs; may be there, whatever they are. */
  ignored: ReadonlySet<string>;
  /** Values for the hints of missing fields. */
  example?: object;
  family: string;
  /** Where the fields stand in config.json, as `text_config/`. */
  at?: string;
}

/** Unknown, missing, ill-typed and impossible fields, all of them, in this order. */
export function fieldIssues(given: Readonly<Record<string, unknown>>, fields: Fields): Issue[] {
  const { required, optional, ignored, example = {}, family, at = '' } = fields;
  const isKnown = (field: string) =>
    Object.hasOwn(required, field) || Object.hasOwn(optional, field) || ignored.has(field);
  const unknown = Object.keys(given)
    .filter((field) => !isKnown(field))
    .map((field) => ({
      code: 'config.unknown_field',
      path: `config.json/${at}${showName(field)}`,
      message: `this field is not part of a ${family} config`,
      hint: 'remove it',
    }));
  const wrong = Object.entries({ ...required, ...optional }).flatMap(([field, kind]): Issue[] => {
    const path = `config.json/${at}${field}`;
    if (!Object.hasOwn(given, field)) {
      if (!Object.hasOwn(required, field)) return [];
      const published = `the published value is ${JSON.stringify((example as Record<string, unknown>)[field])}`;
      const hint = Object.hasOwn(example, field) ? published : `expected ${kind.expects}`;
      return [{ code: 'config.missing_field', path, message: 'this field is missing', hint }];
    }
    const value = given[field];
    if (!kind.hasType(value))
      return [{ code: 'config.wrong_type', path, message: `expected ${kind.type}, got ${show(value)}` }];
    if (kind.holds(value)) return [];
    return [{ code: kind.code, path, message: `expected ${kind.expects}, got ${show(value)}` }];
  });
  return [...unknown, ...wrong];
}
