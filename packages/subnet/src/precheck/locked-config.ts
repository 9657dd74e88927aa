/**
 * @file Check: config.json equals the base model's, key for key, and nothing in it asks for code or quantised weights.
 *
 * Only plain values are compared and the search for forbidden keys uses no recursion: the file is untrusted, and a
 * deeply nested one must not overflow the stack.
 */
import type { Issue } from '@quasar/base';
import { duplicateKey } from '@quasar/model';
import type { ModelLock } from './model-lock.ts';

const FORBIDDEN: Record<string, string> = {
  auto_map: 'asks for code from the repository; there is no path by which such code would run',
  quantization_config: 'quantised weights are refused: publish BF16',
};

/** @param bytes the whole file */
export function checkLockedConfig(bytes: Uint8Array, lock: ModelLock): Issue[] {
  let text: string;
  let json: unknown;
  try {
    // A byte order mark stays, and is refused: the reader that loads the model would choke on it.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    json = JSON.parse(text);
  } catch {
    return [{ code: 'precheck.config_not_json', path: 'config.json', message: 'not UTF-8 JSON' }];
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return [{ code: 'precheck.config_not_json', path: 'config.json', message: 'not a JSON object' }];

  const issues: Issue[] = forbiddenKeys(json, lock);
  const twice = duplicateKey(text);
  if (twice !== null)
    issues.push({
      code: 'precheck.config_duplicate_key',
      path: `config.json/${twice.slice(0, 60)}`,
      message: 'the key is there twice: two readers could see two architectures',
    });
  const given = json as Record<string, unknown>;
  const locked = lock.config as unknown as Record<string, unknown>;
  const hint = 'Copy config.json from the base model; only the weights may differ.';
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(locked, key) || Object.hasOwn(FORBIDDEN, key)) continue;
    issues.push({
      code: 'precheck.config_unknown_key',
      path: `config.json/${key.slice(0, 60)}`,
      message: 'not in the base config',
      hint,
    });
  }
  for (const [key, expected] of Object.entries(locked)) {
    const value = given[key];
    if (Object.hasOwn(given, key) && equals(value, expected)) continue;
    issues.push({
      code: 'precheck.config_mismatch',
      path: `config.json/${key}`,
      message: `got ${Object.hasOwn(given, key) ? show(value) : 'nothing'}, expected ${show(expected)}`,
      hint,
    });
  }
  return issues;
}

/** Plain values, and lists of them. */
function equals(value: unknown, expected: unknown): boolean {
  if (!Array.isArray(expected)) return value === expected;
  return Array.isArray(value) && value.length === expected.length && value.every((x, i) => x === expected[i]);
}

function forbiddenKeys(root: object, { autoMap }: ModelLock): Issue[] {
  const issues: Issue[] = [];
  const open: { value: object; path: string }[] = [{ value: root, path: 'config.json' }];
  for (let next = open.pop(); next; next = open.pop()) {
    const at = next.path.length > 200 ? `${next.path.slice(0, 200)}...` : next.path;
    for (const [key, value] of Object.entries(next.value)) {
      if (next.value === root && key === 'auto_map' && autoMap !== null && isSameMap(value, autoMap)) continue;
      if (Object.hasOwn(FORBIDDEN, key))
        issues.push({ code: 'precheck.config_forbidden_key', path: `${at}/${key}`, message: FORBIDDEN[key]! });
      if (typeof value === 'object' && value !== null) open.push({ value, path: `${at}/${key.slice(0, 60)}` });
    }
  }
  return issues;
}

function isSameMap(value: unknown, expected: Readonly<Record<string, string>>): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const keys = Object.keys(expected);
  return (
    Object.keys(value).length === keys.length &&
    keys.every((key) => Object.hasOwn(value, key) && (value as Record<string, unknown>)[key] === expected[key])
  );
}

function show(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  const text = String(JSON.stringify(value));
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
