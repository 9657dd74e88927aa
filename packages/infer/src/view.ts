/** @file What a model thinks at each token of given texts: its top k, the mass outside, and how likely the token was. */
import { QuasarError } from '@quasar/base';
import { type ModelConfig, type Parameters, vocabularyOperands } from '@quasar/model';
import { headLoss, headTopK, Tensor } from '@quasar/tensor';
import { checkTokens } from './logprobs.ts';
import { overTextRows, type TextRow } from './text-rows.ts';
import type { GivenText, TextView } from './types.ts';

/**
 * One view per text of a batch that fits in a block side by side; as `Engine.view`.
 * @throws QuasarError infer.bad_text, model.token_out_of_range
 */
export async function viewBatch(
  config: ModelConfig,
  parameters: Parameters,
  texts: readonly GivenText[],
  k: number,
): Promise<TextView[]> {
  for (const [i, text] of texts.entries()) checkText(text, i, config.vocab_size);
  const views = texts.map(({ tokens, from }): TextView => {
    const n = tokens.length - from;
    const top = { k, ids: new Int32Array(n * k), logprobs: new Float32Array(n * k), tail: new Float32Array(n) };
    return { top, logprobs: new Float32Array(n) };
  });
  const rows = texts.flatMap(({ tokens, from }, text) =>
    Array.from({ length: tokens.length - from }, (_, at): TextRow => ({ text, at, token: from + at - 1 })),
  );
  await overTextRows(
    config,
    parameters,
    texts.map(({ tokens }) => tokens),
    rows,
    (hidden, index, here) => {
      const operands = vocabularyOperands(parameters, hidden, index);
      const targets = Int32Array.from(here, ({ text, token }) => texts[text]!.tokens[token + 1]!);
      const target = Tensor.from(hidden.device, [targets.length], targets, 'int');
      const { crossEntropy } = headLoss(operands.rows, operands.head, target, undefined);
      return { ...headTopK(operands.rows, operands.head, k), crossEntropy };
    },
    async (result, here) => {
      const [ids, logprobs, tail, loss] = await Promise.all(
        [result.ids, result.logprobs, result.tail, result.crossEntropy].map((tensor) => tensor.read()),
      );
      for (const tensor of Object.values(result)) tensor.dispose();
      here.forEach(({ text, at }, i) => {
        const view = views[text]!;
        view.top.ids.set(ids!.subarray(i * k, (i + 1) * k), at * k);
        view.top.logprobs.set(logprobs!.subarray(i * k, (i + 1) * k), at * k);
        view.top.tail[at] = tail![i]!;
        view.logprobs[at] = -loss![i]!;
      });
    },
  );
  return views;
}

function checkText({ tokens, from }: GivenText, index: number, vocabulary: number): void {
  if (!(from >= 1 && from <= tokens.length)) {
    const what = `view: text ${index} has ${tokens.length} tokens, and a view from ${from} on is wanted`;
    throw new QuasarError('infer.bad_text', what, { hint: 'nothing predicts the first token: begin at 1' });
  }
  checkTokens('view', tokens, vocabulary);
}
