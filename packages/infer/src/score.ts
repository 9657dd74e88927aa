/** @file Scoring of given tokens: how far a model is from what a teacher thought at each of them. */
import { QuasarError } from '@quasar/base';
import { forward, type ModelConfig, type ModelState, type Parameters, vocabularyOperands } from '@quasar/model';
import { headLoss, scope, Tensor } from '@quasar/tensor';
import { BLOCK_TOKENS } from './batches.ts';
import { concatTop } from './top-k.ts';
import type { TopK, Trace } from './types.ts';

/**
 * KL(teacher ‖ model) at each continuation token, top k plus tail bucket, nats, [continuation] per trace. Token j is
 * predicted from the prompt and the continuation before it. All traces go through the model in one
 * batch, in blocks: memory does not grow with their length.
 * @throws QuasarError infer.bad_trace
 */
export async function scoreBatch(
  config: ModelConfig,
  parameters: Parameters,
  traces: readonly Trace[],
): Promise<Float64Array[]> {
  const k = Math.max(...traces.map((trace) => trace.top.k));
  for (const [i, trace] of traces.entries()) checkTrace(trace, i, k, config.vocab_size);
  const T = Math.max(...traces.map(({ prompt, continuation }) => prompt.length + continuation.length));
  // What follows a row's own tokens is never looked at: any id will do.
  const tokens = new Int32Array(traces.length * T);
  const rows: Row[] = [];
  traces.forEach(({ prompt, continuation }, b) => {
    tokens.set(prompt, b * T);
    tokens.set(continuation, b * T + prompt.length);
    for (let j = 0; j < continuation.length; j++) rows.push({ trace: b, at: j, token: prompt.length - 1 + j });
  });
  const scores = traces.map(({ continuation }) => new Float64Array(continuation.length));
  const width = Math.max(1, Math.floor(BLOCK_TOKENS / traces.length));
  const last = rows.reduce((most, { token }) => Math.max(most, token), -1);
  let state: ModelState | undefined;
  try {
    for (let from = 0; from <= last; from += width) {
      const block = { B: traces.length, T: Math.min(width, last + 1 - from), state };
      const here = rows.filter(({ token }) => token >= from && token < from + width);
      const { kl, after } = scope(() => {
        const out = forward(config, parameters, { ...block, tokens: columns(tokens, traces.length, from, block.T) });
        const index = Int32Array.from(here, ({ trace, token }) => trace * block.T + token - from);
        const kl = here.length > 0 ? divergence(parameters, out.hidden, index, viewOf(traces, here, k)) : null;
        return { kl, after: out.state };
      });
      state?.dispose();
      state = after;
      if (!kl) continue;
      const values = await kl.read();
      kl.dispose();
      here.forEach(({ trace, at }, i) => {
        (scores[trace] as Float64Array)[at] = values[i] as number;
      });
    }
  } finally {
    state?.dispose();
  }
  return scores;
}

/** A continuation token, and the token of its row that predicts it. */
interface Row {
  trace: number;
  at: number;
  token: number;
}

/** Columns [from, from + width) of tokens [B, T]. */
function columns(tokens: Int32Array, B: number, from: number, width: number): Int32Array {
  const T = tokens.length / B;
  const out = new Int32Array(B * width);
  for (let b = 0; b < B; b++) out.set(tokens.subarray(b * T + from, b * T + from + width), b * width);
  return out;
}

/** The teacher's view of some continuation tokens. */
function viewOf(traces: readonly Trace[], rows: readonly Row[], k: number): TopK {
  return concatTop(
    k,
    rows.map(({ trace, at }) => {
      const { ids, logprobs, tail } = (traces[trace] as Trace).top;
      const [from, to] = [at * k, (at + 1) * k];
      return { k, ids: ids.subarray(from, to), logprobs: logprobs.subarray(from, to), tail: tail.subarray(at, at + 1) };
    }),
  );
}

function divergence(parameters: Parameters, hidden: Tensor, index: Int32Array, view: TopK): Tensor {
  const { device } = hidden;
  const { rows, head } = vocabularyOperands(parameters, hidden, index);
  const teacher = {
    ids: Tensor.from(device, [index.length, view.k], view.ids, 'int'),
    logprobs: Tensor.from(device, [index.length, view.k], view.logprobs),
    tail: Tensor.from(device, [index.length], view.tail),
  };
  return headLoss(rows, head, undefined, teacher).kl;
}

/** Kernels trust what they are given, and traces may come from a file. */
function checkTrace({ prompt, continuation, top }: Trace, index: number, k: number, vocabulary: number): void {
  const refuse = (what: string) =>
    new QuasarError('infer.bad_trace', `scoreTopK: trace ${index} ${what}`, { hint: 'make the traces again' });
  const n = continuation.length;
  if (prompt.length === 0) throw refuse('has an empty prompt');
  if (n > 0 && top.k !== k) throw refuse(`has the top ${top.k}, others of its batch the top ${k}`);
  if (top.ids.length !== n * top.k || top.logprobs.length !== n * top.k || top.tail.length !== n)
    throw refuse(`has ${n} tokens of continuation and a view of ${top.tail.length} positions`);
  if (top.ids.some((id) => id < 0 || id >= vocabulary)) throw refuse(`has ids outside the vocabulary of ${vocabulary}`);
}
