/** @file What two values of JSON do not have in common, leaf by leaf. */
import { canonicalJson } from '@quasar/base';

export interface Difference {
  /** File or event, and the path within it. */
  where: string;
  /** Text of both values, from shortly before the place where they part. */
  got: string;
  expected: string;
}

const SHOWN_CHARACTERS = 60;
/** Of what both have in common. */
const SHOWN_BEFORE = 8;

/** Compared as they would be written: what JSON does not tell apart is the same. */
export function differences(got: unknown, expected: unknown, where: string): Difference[] {
  if (canonicalJson(got) === canonicalJson(expected)) return [];
  if (!isTree(got) || !isTree(expected) || Array.isArray(got) !== Array.isArray(expected))
    return [{ where, ...part(textOf(got), textOf(expected)) }];
  const names = new Set([...Object.keys(expected), ...Object.keys(got)]);
  return [...names].flatMap((name) =>
    differences(got[name], expected[name], Array.isArray(got) ? `${where}[${name}]` : `${where}.${name}`),
  );
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function textOf(value: unknown): string {
  return value === undefined ? 'nothing' : canonicalJson(value);
}

function part(got: string, expected: string): { got: string; expected: string } {
  let same = 0;
  while (same < got.length && got[same] === expected[same]) same++;
  const from =
    same <= SHOWN_BEFORE || Math.max(got.length, expected.length) <= SHOWN_CHARACTERS ? 0 : same - SHOWN_BEFORE;
  const shown = (text: string) => {
    const rest = text.slice(from, from + SHOWN_CHARACTERS);
    return `${from > 0 ? '...' : ''}${rest}${from + rest.length < text.length ? '...' : ''}`;
  };
  return { got: shown(got), expected: shown(expected) };
}
