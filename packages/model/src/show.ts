/** @file Untrusted values inside messages: one short line of printable text, whatever they are. */

const MAX_CHARS = 60;

/** JSON of a plain value, cut to 60 characters; lists and objects by kind, because they may be deep. */
export function show(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  return cut(String(JSON.stringify(value)));
}

/** A name for the `path` of an issue: control characters escaped, cut to 60 characters. */
export function showName(name: string): string {
  return cut(JSON.stringify(name).slice(1, -1));
}

function cut(text: string): string {
  return text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}…` : text;
}
