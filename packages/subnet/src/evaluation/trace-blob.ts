/**
 * @file Teacher traces as bytes, all numbers little endian:
 *
 *     rows, then per row:  prompt tokens P, continuation tokens C, top k
 *     per row:             prompt [P] int32, continuation [C] int32, ids [C, k] int32, logprobs [C, k] f32, tail [C] f32
 *
 * Bytes come from a queue that other machines write to: sizes are checked before anything is read.
 */
import { QuasarError } from '@quasar/base';
import type { Trace } from '@quasar/infer';

export function encodeTraces(traces: readonly Trace[]): Uint8Array {
  const head = Int32Array.from([
    traces.length,
    ...traces.flatMap(({ prompt, continuation, top }) => [prompt.length, continuation.length, top.k]),
  ]);
  const parts = traces.flatMap(({ prompt, continuation, top }) => [
    ...[prompt, continuation, top.ids, top.logprobs, top.tail],
  ]);
  return Buffer.concat([head, ...parts].map((part) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength)));
}

/** @throws QuasarError `evaluation.bad_blob` */
export function decodeTraces(bytes: Uint8Array): Trace[] {
  // A copy: typed arrays need their own alignment.
  const words = new Int32Array(Uint8Array.from(bytes).buffer.slice(0, bytes.length - (bytes.length % 4)));
  const rows = words[0] ?? 0;
  let at = 1 + 3 * rows;
  if (bytes.length % 4 !== 0 || rows < 1 || at > words.length) throw damaged(bytes);
  const sizes = Array.from({ length: rows }, (_, row) => words.subarray(1 + 3 * row, 4 + 3 * row));
  const wanted = sizes.reduce((sum, [P = 0, C = 0, k = 0]) => sum + P + 2 * C + 2 * C * k, at);
  if (sizes.some((row) => row.some((size) => size < 1)) || wanted !== words.length) throw damaged(bytes);
  const take = (length: number) => {
    at += length;
    return words.subarray(at - length, at);
  };
  const floats = (ints: Int32Array) => new Float32Array(ints.buffer, ints.byteOffset, ints.length);
  return sizes.map(([P = 0, C = 0, k = 0]) => ({
    prompt: take(P),
    continuation: take(C),
    top: { k, ids: take(C * k), logprobs: floats(take(C * k)), tail: floats(take(C)) },
  }));
}

function damaged(bytes: Uint8Array): QuasarError {
  return new QuasarError('evaluation.bad_blob', `teacher traces of ${bytes.length} bytes are not what they say`, {
    hint: 'A defect of the program that made them. Report it.',
  });
}
