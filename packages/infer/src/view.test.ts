/** @file A model's view of given texts, and generation with a seed per prompt or with its end in it. */
import { describe, expect, it } from 'vitest';
import { BLOCK_TOKENS } from './batches.ts';
import { randomPrompt, TOKENIZER, tinyEngine } from './testing/tiny-engine.ts';

const engine = await tinyEngine('view');

describe('view', () => {
  it('is what the model said while it generated, whatever else is in the batch', async () => {
    const prompts = [3, 9].map((length) => randomPrompt(length, `view ${length}`));
    const options = { maxNewTokens: 12, topLogprobs: 6, stopTokens: [], seed: 'view' };
    const said = await engine.generate(prompts, options);
    const texts = said.map(({ tokens }, i) => ({
      tokens: Int32Array.of(...prompts[i]!, ...tokens),
      from: prompts[i]!.length,
    }));
    const views = await engine.view(texts, 6);
    for (const [i, { top, logprobs }] of views.entries()) {
      expect(top.ids).toEqual(said[i]!.top!.ids);
      for (const [j, value] of top.logprobs.entries()) expect(value).toBeCloseTo(said[i]!.top!.logprobs[j]!, 4);
      for (const [j, value] of top.tail.entries()) expect(value).toBeCloseTo(said[i]!.top!.tail[j]!, 5);
      for (const [j, value] of logprobs.entries()) expect(value).toBeCloseTo(said[i]!.logprobs[j]!, 4);
    }
  });

  it('goes on over the end of a block', async () => {
    const tokens = randomPrompt(BLOCK_TOKENS + 5, 'long');
    const [view] = await engine.view([{ tokens, from: tokens.length - 8 }], 2);
    const logprobs = await engine.logprobs(tokens);
    expect(view!.logprobs).toHaveLength(8);
    for (const [i, value] of view!.logprobs.entries()) expect(value).toBeCloseTo(logprobs.at(i - 8)!, 4);
  });

  it('refuses what nothing predicts and what is no token', async () => {
    const tokens = Int32Array.of(1, 2, 3);
    for (const from of [0, 4, Number.NaN])
      await expect(engine.view([{ tokens, from }], 2)).rejects.toMatchObject({ code: 'infer.bad_text' });
    const wrong = { tokens: Int32Array.of(1, 2, TOKENIZER.vocabSize), from: 1 };
    await expect(engine.view([wrong], 2)).rejects.toMatchObject({ code: 'model.token_out_of_range' });
    const [empty] = await engine.view([{ tokens, from: 3 }], 2);
    expect(empty!.top).toMatchObject({ k: 2, tail: new Float32Array(0) });
  });
});

describe('generate', () => {
  it('with a seed per prompt, gives each what it gets alone', async () => {
    const prompts = [4, 4, 7].map((length, i) => randomPrompt(length, `seeded ${i}`));
    const seeds = [5, 'six', 7];
    const together = await engine.generate(prompts, { maxNewTokens: 10, stopTokens: [], seeds });
    for (const [i, prompt] of prompts.entries()) {
      const [alone] = await engine.generate([prompt], { maxNewTokens: 10, stopTokens: [], seed: seeds[i] });
      expect(together[i]!.tokens).toEqual(alone!.tokens);
    }
  });

  it('may keep the token that ends it, as the stream does', async () => {
    const prompt = randomPrompt(5, 'end');
    const [free] = await engine.generate([prompt], { maxNewTokens: 10, stopTokens: [], seed: 1 });
    const stop = free!.tokens[6]!;
    const at = free!.tokens.indexOf(stop);
    for (const includeStop of [false, true]) {
      const options = { maxNewTokens: 10, stopTokens: [stop], seed: 1, includeStop, topLogprobs: 2 };
      const expected = free!.tokens.slice(0, at + Number(includeStop));
      const [ended] = await engine.generate([prompt], options);
      expect(ended).toMatchObject({ tokens: expected, finishReason: 'stop' });
      expect(ended!.top!.tail).toHaveLength(expected.length);
      const streamed: number[] = [];
      const stream = engine.stream(prompt, options);
      let next = await stream.next();
      for (; !next.done; next = await stream.next()) streamed.push(next.value.token);
      expect([streamed, next.value]).toEqual([[...expected], 'stop']);
    }
  });
});
