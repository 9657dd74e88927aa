/** @file Log-probabilities of given tokens: equal to those of a decoding step each, across block edges, and bad tokens refused. */
import { expect, it } from 'vitest';
import { BLOCK_TOKENS } from './batches.ts';
import { randomPrompt, TINY, tinyEngine } from './testing/tiny-engine.ts';

const engine = await tinyEngine('logprobs');

it('is what generation reports for the tokens that it chose', async () => {
  const prompt = randomPrompt(9, 'prompt');
  const [completion] = await engine.generate([prompt], { maxNewTokens: 20, temperature: 1, seed: 's', stopTokens: [] });
  const text = Int32Array.of(...prompt, ...(completion?.tokens ?? []));
  const logprobs = await engine.logprobs(text);
  expect(logprobs).toHaveLength(text.length - 1);
  completion?.logprobs.forEach((expected, i) => {
    expect(logprobs[prompt.length - 1 + i]).toBeCloseTo(expected, 4);
  });
});

it('carries the state over block edges: a text that begins later says the same as one block', async () => {
  const text = randomPrompt(2 * BLOCK_TOKENS + 70, 'long');
  const whole = await engine.logprobs(text);
  const first = await engine.logprobs(text.subarray(0, BLOCK_TOKENS + 1));
  expect(whole.subarray(0, BLOCK_TOKENS)).toEqual(first);
  // Tokens after an edge know the tokens before it.
  const changed = text.slice();
  changed[BLOCK_TOKENS - 1] = ((changed[BLOCK_TOKENS - 1] as number) + 1) % TINY.vocab_size;
  expect((await engine.logprobs(changed))[BLOCK_TOKENS]).not.toBe(whole[BLOCK_TOKENS]);
});

it('tells its progress, and waits for whoever listens', async () => {
  const seen: string[] = [];
  await engine.logprobs(randomPrompt(BLOCK_TOKENS + 8, 'long'), {
    progress: async (done) => {
      seen.push(`${done} begins`);
      await new Promise((resolve) => setTimeout(resolve, 20));
      seen.push(`${done} ends`);
    },
  });
  const [a, b] = [BLOCK_TOKENS, BLOCK_TOKENS + 7];
  expect(seen).toEqual([`${a} begins`, `${a} ends`, `${b} begins`, `${b} ends`]);
});

it('has nothing to say of fewer than two tokens', async () => {
  expect(await engine.logprobs(new Int32Array(0))).toHaveLength(0);
  expect(await engine.logprobs(Int32Array.of(3))).toHaveLength(0);
});

it('refuses tokens outside the vocabulary, also as the last one, and stops when told to', async () => {
  const bad = { code: 'model.token_out_of_range' };
  await expect(engine.logprobs(Int32Array.of(1, 2, TINY.vocab_size))).rejects.toMatchObject(bad);
  await expect(engine.logprobs(Int32Array.of(-1, 2))).rejects.toMatchObject(bad);
  const signal = AbortSignal.abort();
  await expect(engine.logprobs(randomPrompt(5, 'x'), { signal })).rejects.toMatchObject({ code: 'infer.cancelled' });
});
