/** @file Scoring of given tokens: how far a model is from what a teacher thought at each of them. */
import { QuasarError } from '@quasar/base';
import { type ModelConfig, type Parameters, vocabularyOperands } from '@quasar/model';
import { headLoss, Tensor } from '@quasar/tensor';
import { overTextRows, type TextRow, wholeText } from './text-rows.ts';
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
  const texts = traces.map(({ prompt, continuation }) => wholeText(prompt, continuation));
  const rows = traces.flatMap(({ prompt, continuation }, text) =>
    Array.from(continuation, (_, at): TextRow => ({ text, at, token: prompt.length - 1 + at })),
  );
  const scores = traces.map(({ continuation }) => new Float64Array(continuation.length));
  await overTextRows(
    config,
    parameters,
    texts,
    rows,
    (hidden, index, here) => divergence(parameters, hidden, index, viewOf(traces, here, k)),
    async (kl, here) => {
      const values = await kl.read();
      kl.dispose();
      here.forEach(({ text, at }, i) => {
        scores[text]![at] = values[i]!;
      });
    },
  );
  return scores;
}

/** The teacher's view of some continuation tokens. */
function viewOf(traces: readonly Trace[], rows: readonly TextRow[], k: number): TopK {
  return concatTop(
    k,
    rows.map(({ text, at }) => {
      const { ids, logprobs, tail } = traces[text]!.top;
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
