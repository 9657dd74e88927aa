/** @file Expecting a typed failure. */
import { QuasarError } from '@quasar/base';
import { expect } from 'vitest';

/** The error of a call that must fail with `code`. */
export async function expectCode(call: Promise<unknown>, code: string): Promise<QuasarError> {
  const error = await call.then(
    () => expect.unreachable(`expected ${code}, but the call succeeded`),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(QuasarError);
  expect((error as QuasarError).code, (error as QuasarError).message).toBe(code);
  return error as QuasarError;
}
