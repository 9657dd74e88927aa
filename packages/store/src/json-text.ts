/** @file Values to JSON text without silent loss: what a reader gets back equals what the writer gave. */
import { QuasarError } from '@quasar/base';

/**
 * `JSON.stringify`, except that a value JSON would bend (NaN to null, a typed array to an object) is refused.
 * Members that are `undefined` are dropped, as usual.
 * @throws QuasarError `store.not_json`
 */
export function toJsonText(value: unknown, what: string): string {
  const refuse = (found: string): never => {
    throw new QuasarError('store.not_json', `${what}: ${found} does not survive JSON`, {
      hint: 'store finite numbers, strings, booleans, null, plain arrays and plain objects',
    });
  };
  let text: string | undefined;
  try {
    text = JSON.stringify(value, (name, item: unknown) => {
      if (typeof item === 'number' && !Number.isFinite(item)) refuse(`${item} at "${name}"`);
      if (ArrayBuffer.isView(item)) refuse(`a typed array at "${name}"`);
      if (item instanceof Map || item instanceof Set) refuse(`a Map or Set at "${name}"`);
      return item;
    });
  } catch (error) {
    if (error instanceof QuasarError) throw error;
    refuse(error instanceof Error ? error.message : String(error)); // bigint, cycle
  }
  return text ?? refuse(typeof value);
}
