/** @file Accuracy of recall counts the documents whose first answer the model gives in full. */
import { Rng } from '@quasar/base';
import { type Checkpoint, initialParameters } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { recallDocument } from './data/recall.ts';
import { recallAccuracy } from './recall-accuracy.ts';
import { TINY, TOKENIZER } from './testing/tiny.ts';

/** A model in which each token alone decides the next: after `:` it writes ` Ada`, whatever came before. */
async function alwaysAda(): Promise<Checkpoint> {
  const config = { ...TINY, num_loops: 1 };
  const parameters = initialParameters(config, openDevice('auto'), new Rng('ada'));
  for (const [name, tensor] of parameters)
    if (/o_proj|w_up_proj|down\.weight/.test(name)) tensor.write(new Float32Array(tensor.size));
  const D = config.d_model;
  const embedding = await (
    parameters.get('model.embed_tokens.weight') as { read(): Promise<ArrayLike<number>> }
  ).read();
  const head = new Float32Array(config.vocab_size * D);
  const chain = [...TOKENIZER.encode(': Ada')];
  chain.slice(1).forEach((id, i) => {
    const after = chain[i] as number;
    for (let d = 0; d < D; d++) head[id * D + d] = embedding[after * D + d] as number;
  });
  parameters.get('lm_head.weight')?.write(head);
  return { config, parameters, tokenizer: TOKENIZER };
}

it('is the share of first answers that are given in full', async () => {
  const [distances, documents] = [[40, 120], 60];
  const found = await recallAccuracy(await alwaysAda(), { distances, documents });
  const expected = distances.map((distance) => {
    const rights = Array.from({ length: documents }, (_, i) => {
      const options = { size: { distance }, split: 'test' } as const;
      const { ids, answers } = recallDocument(TOKENIZER, new Rng(`recall/${distance}/${i}`), options);
      const [{ from, length }] = answers as [{ from: number; length: number }];
      return TOKENIZER.decode(ids.subarray(from, from + length)) === ' Ada';
    });
    return { distance, documents, accuracy: rights.filter(Boolean).length / documents };
  });
  expect(found).toEqual(expected);
  expect(found.some(({ accuracy }) => accuracy > 0)).toBe(true);
});
