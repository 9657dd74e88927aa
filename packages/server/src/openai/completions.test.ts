/** @file `/v1/completions`: the body of OpenAI, echoed prompts, ids for names, limits; with the official client too. */
import { openStore, type Store } from '@quasar/store';
import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type App, createApp } from '../app.ts';
import { createLog } from '../log.ts';
import { serve } from '../serve.ts';
import { scripted, tokenizer } from '../testing/checkpoint.ts';

let store: Store;
let app: App;

beforeEach(() => {
  store = openStore({ path: ':memory:' });
  app = createApp({ store, log: createLog('silent'), limits: { maxPromptTokens: 40, maxNewTokens: 64 } });
  app.shelf.putBase(scripted('world, naïve'));
});
afterEach(async () => {
  await app.close();
  store.close();
});

const post = (body: object) =>
  app.hono.request('/v1/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'base', prompt: 'hello ', ...body }),
  });
const choiceOf = async (body: object) => (await (await post(body)).json()).choices[0];
const TEXT = tokenizer.encode('world, naïve');
const names = (ids: Iterable<number>) => Array.from(ids, (id) => tokenizer.decode([id], { specials: true }));

describe('completions', () => {
  it('has the body of OpenAI', async () => {
    expect(await (await post({ max_tokens: 60 })).json()).toEqual({
      id: expect.stringMatching(/^cmpl-[0-9a-f]{32}$/),
      object: 'text_completion',
      created: expect.any(Number),
      model: 'base',
      system_fingerprint: 'quasar-base',
      choices: [{ index: 0, text: 'world, naïve', logprobs: null, finish_reason: 'stop' }],
      usage: {
        prompt_tokens: tokenizer.encode('hello ').length,
        completion_tokens: TEXT.length,
        total_tokens: tokenizer.encode('hello ').length + TEXT.length,
      },
    });
  });

  it('names every token, what else it might have been, and where it stands', async () => {
    const { logprobs } = await choiceOf({ max_tokens: 60, logprobs: 2 });
    expect(logprobs.tokens).toEqual(names(TEXT));
    expect(logprobs.token_logprobs).toEqual([...TEXT].map(() => -0.5));
    expect(logprobs.top_logprobs[0]).toEqual(
      Object.fromEntries(names([TEXT[0]!, (TEXT[0]! + 1) % 256]).map((name, i) => [name, -0.5 - i])),
    );
    const offset = 'hello '.length + tokenizer.decode(TEXT.slice(0, 3)).length;
    expect(logprobs.text_offset[3]).toBe(offset);
    expect(logprobs.text_offset).toHaveLength(TEXT.length);
  });

  it('echoes the prompt: text, tokens and views, of the first token none', async () => {
    const prompt = tokenizer.encode('hello ');
    const { text, logprobs, finish_reason } = await choiceOf({ echo: true, max_tokens: 0, logprobs: 3 });
    expect([text, finish_reason]).toEqual(['hello world, naïve'.slice(0, 6), 'length']);
    expect(logprobs.tokens).toEqual(names(prompt));
    expect(logprobs.token_logprobs).toEqual([null, ...[...prompt.slice(1)].map(() => -0.5)]);
    expect([logprobs.top_logprobs[0], Object.keys(logprobs.top_logprobs[1]).length]).toEqual([null, 3]);
    expect(logprobs.text_offset[0]).toBe(0);
    expect((await choiceOf({ echo: true, max_tokens: 60 })).text).toBe('hello world, naïve');
  });

  it('takes ids and gives ids', async () => {
    const { logprobs } = await choiceOf({
      ...{ prompt: [1, 2, 3], max_tokens: 2, echo: true, logprobs: 1, return_tokens_as_token_ids: true },
    });
    expect(logprobs.tokens).toEqual([1, 2, 3, TEXT[0], TEXT[1]].map((id) => `token_id:${id}`));
    expect(logprobs.top_logprobs[1]).toEqual({ 'token_id:2': -0.5 });
  });

  it('answers several prompts, and special tokens in a raw prompt count as such', async () => {
    const { choices, usage } = await (await post({ prompt: ['a', '<|bos|>'], max_tokens: 1 })).json();
    expect(choices.map((choice: { index: number }) => choice.index)).toEqual([0, 1]);
    expect(usage.prompt_tokens).toBe(2);
  });

  it('ends before a stop string', async () => {
    expect(await choiceOf({ max_tokens: 60, stop: ', ' })).toMatchObject({ text: 'world', finish_reason: 'stop' });
  });

  it.each([
    [{ prompt: [] }, 'prompt', 'invalid_value'],
    [{ prompt: '' }, 'prompt', 'invalid_value'],
    [{ prompt: [tokenizer.vocabSize] }, 'prompt', 'invalid_value'],
    [{ prompt: [-1] }, 'prompt[0]', 'invalid_value'],
    [{ prompt: Array(17).fill('a') }, 'prompt', 'invalid_value'],
    [{ prompt: 'x'.repeat(60) }, 'prompt', 'context_length_exceeded'],
    [{ max_tokens: 65 }, 'max_tokens', 'integer_above_max_value'],
    [{ logprobs: 257 }, 'logprobs', 'invalid_value'],
    [{ n: 2 }, 'n', 'invalid_value'],
    [{ stream: true }, 'stream', 'unsupported_parameter'],
    [{ model: undefined }, 'model', 'missing_required_parameter'],
  ])('refuses %j', async (change, param, code) => {
    const response = await post(change);
    expect([response.status, (await response.json()).error]).toMatchObject([400, { param, code }]);
  });

  it('is read by the official client', async () => {
    const served = await serve(app, { port: 0 });
    const client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const answer = await client.completions.create({ model: 'base', prompt: 'hello ', max_tokens: 3, logprobs: 1 });
    expect(answer.choices[0]!.text).toBe(tokenizer.decode(TEXT.slice(0, 3)));
    expect(answer.choices[0]!.logprobs!.tokens).toHaveLength(3);
    await served.close();
  });
});
