/** @file Scoring of given tokens: how far a model is from what a teacher thought at each of them. */
import { QuasarError } from '@quasar/base';
import { forward, type Parameters, type QuasarConfig, vocabularyOperands } from '@quasar/model';
import { headLoss, scope, Tensor } from '@quasar/tensor';
import { concatTop } from './top-k.ts';
import type { Trace } from './types.ts';

/**
 * KL(teacher ‖ model) at each continuation token, top k plus tail bucket, nats, [continuation] per trace. Token j is
 * predicted from the prompt and the continuation before it. All traces go through the model in one batch.
 * @throws QuasarError infer.bad_trace
 */
export async function scoreBatch(
  config: QuasarConfig,
  parameters: Parameters,
  traces: readonly Trace[],
): Promise<Float64Array[]> {
  const k = Math.max(...traces.map((trace) => trace.top.k));
  for (const [i, trace] of traces.entries()) checkTrace(trace, i, k, config.vocab_size);
  const T = Math.max(...traces.map(({ prompt, continuation }) => prompt.length + continuation.length));
  // What follows a row's own tokens is never looked at: any id will do.
  const tokens = new Int32Array(traces.length * T);
  const rows: number[] = [];
  traces.forEach(({ prompt, continuation }, b) => {
    tokens.set(prompt, b * T);
    tokens.set(continuation, b * T + prompt.length);
    for (let j = 0; j < continuation.length; j++) rows.push(b * T + prompt.length - 1 + j);
  });
  if (rows.length === 0) return traces.map(() => new Float64Array(0));
  const loss = scope(() => {
    const { hidden } = forward(config, parameters, { tokens, B: traces.length, T });
    const operands = vocabularyOperands(parameters, hidden, Int32Array.from(rows));
    const { device } = hidden;
    const all = concatTop(
      k,
      traces.map((trace) => trace.top),
    );
    const teacher = {
      ids: Tensor.from(device, [rows.length, k], all.ids, 'int'),
      logprobs: Tensor.from(device, [rows.length, k], all.logprobs),
      tail: Tensor.from(device, [rows.length], all.tail),
    };
    return headLoss(operands.rows, operands.head, undefined, teacher).kl;
  });
  const values = await loss.read();
  loss.dispose();
  let at = 0;
  return traces.map(({ continuation }) => {
    at += continuation.length;
    return Float64Array.from(values.subarray(at - continuation.length, at));
  });
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
