/** @file KL per token as evaluators give it: float32 values, prompt after prompt. */
import { QuasarError } from '@quasar/base';

/** @param lengths tokens of each prompt @throws QuasarError `evidence.damaged` when the bytes are not as many */
export function splitTokens(bytes: Uint8Array, lengths: readonly number[]): Float32Array[] {
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  if (bytes.length !== 4 * tokens)
    throw new QuasarError('evidence.damaged', `KL of ${tokens} tokens in ${bytes.length} bytes`, {
      hint: 'Restore the file from a copy, or ask another validator for its evidence.',
    });
  // A copy: typed arrays need their own alignment.
  const values = new Float32Array(Uint8Array.from(bytes).buffer);
  let at = 0;
  return lengths.map((length) => {
    at += length;
    return values.subarray(at - length, at);
  });
}
