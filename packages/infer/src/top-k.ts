/** @file A model's view of positions on the host: from logits on the device, and several views in one. */
import { scope, type Tensor, topK } from '@quasar/tensor';
import type { TopK } from './types.ts';

/** One view per row of logits [M, V]; at most V ids. */
export async function topOfRows(logits: Tensor, k: number): Promise<TopK[]> {
  const top = scope(() => topK(logits, Math.min(k, logits.dim(-1))));
  const [ids, logprobs, tail] = await Promise.all([top.ids.read(), top.logprobs.read(), top.tail.read()]);
  for (const tensor of [top.ids, top.logprobs, top.tail]) tensor.dispose();
  const width = top.ids.dim(1);
  return Array.from({ length: tail.length }, (_, row) => ({
    k: width,
    ids: Int32Array.from(ids.subarray(row * width, (row + 1) * width)),
    logprobs: Float32Array.from(logprobs.subarray(row * width, (row + 1) * width)),
    tail: Float32Array.of(tail[row] as number),
  }));
}

/** Views of the same k, one after another. */
export function concatTop(k: number, parts: readonly TopK[]): TopK {
  const rows = parts.reduce((sum, { tail }) => sum + tail.length, 0);
  const all: TopK = {
    k,
    ids: new Int32Array(rows * k),
    logprobs: new Float32Array(rows * k),
    tail: new Float32Array(rows),
  };
  let at = 0;
  for (const { ids, logprobs, tail } of parts) {
    all.ids.set(ids, at * k);
    all.logprobs.set(logprobs, at * k);
    all.tail.set(tail, at);
    at += tail.length;
  }
  return all;
}
