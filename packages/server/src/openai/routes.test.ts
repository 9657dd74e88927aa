/** @file The OpenAI routes without sockets: bodies, errors, headers, streams; engines whose words are known. */
import { openStore, type Store } from '@quasar/store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type App, type AppLimits, createApp } from '../app.ts';
import { createLog } from '../log.ts';
import { scripted, tokenizer } from '../testing/checkpoint.ts';

/** Loaded machines are slow; a wait that ends sooner costs nothing. */
const PATIENT = { timeout: 20_000 };

const REVISION = 'ab'.repeat(20);
const KING = { uid: 7, repo: 'team/king', revision: REVISION, crownedAtBlock: 123 };

let store: Store;
let app: App;

function start(limits: Partial<AppLimits> = {}): App {
  app = createApp({ store, log: createLog('silent'), limits });
  return app;
}

beforeEach(() => {
  store = openStore({ path: ':memory:' });
  start();
});

afterEach(async () => {
  await app.close();
  store.close();
});

const post = (body: unknown, init: RequestInit = {}) =>
  app.hono.request('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body:
      typeof body === 'string'
        ? body
        : JSON.stringify({ messages: [{ role: 'user', content: 'hi' }], ...(body as object) }),
    ...init,
  });

async function chunks(response: Response) {
  const lines = (await response.text()).split('\n').filter((line) => line.startsWith('data: '));
  expect(lines.at(-1)).toBe('data: [DONE]');
  return lines.slice(0, -1).map((line) => JSON.parse(line.slice(6)));
}

const textOf = (list: { choices: { index: number; delta: { content?: string } }[] }[], index = 0) =>
  list
    .flatMap((one) => one.choices.filter((choice) => choice.index === index))
    .map((one) => one.delta.content ?? '')
    .join('');

describe('models', () => {
  it('lists none, then the base, then the king under both names', async () => {
    const ids = async () =>
      (await (await app.hono.request('/v1/models')).json()).data.map((one: { id: string }) => one.id);
    expect(await ids()).toEqual([]);
    app.shelf.putBase(scripted('b'));
    expect(await ids()).toEqual(['base']);
    app.shelf.putKing(scripted('k'), KING);
    expect(await ids()).toEqual(['king', `king@${REVISION}`, 'base']);
  });

  it('gives one model, or says why not', async () => {
    expect((await app.hono.request('/v1/models/king')).status).toBe(503);
    app.shelf.putKing(scripted('k'), KING);
    expect(await (await app.hono.request('/v1/models/king')).json()).toMatchObject({
      id: 'king',
      object: 'model',
      owned_by: 'quasar',
      king: { uid: 7, hf_repo: 'team/king', revision: REVISION, crowned_at_block: 123 },
    });
    const missing = await app.hono.request('/v1/models/gpt-4');
    expect([missing.status, (await missing.json()).error.code]).toEqual([404, 'model_not_found']);
  });
});

describe('a whole answer', () => {
  it('has the body of OpenAI and names the king', async () => {
    app.shelf.putKing(scripted('hello world'), KING);
    const response = await post({ model: 'king' });
    expect(response.headers.get('x-quasar-king')).toBe(`7/${REVISION}/123`);
    const completion_tokens = tokenizer.encode('hello world').length;
    const body = await response.json();
    expect(body).toEqual({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: `king@${REVISION}`,
      system_fingerprint: `quasar-${REVISION.slice(0, 12)}`,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'hello world', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 6,
        completion_tokens,
        total_tokens: 6 + completion_tokens,
        prompt_tokens_details: { cached_tokens: 0 },
      },
    });
  });

  it('ends with length at the limit', async () => {
    app.shelf.putBase(scripted('abcdef'));
    const { choices, usage } = await (await post({ model: 'base', max_tokens: 3 })).json();
    expect([choices[0].message.content, choices[0].finish_reason, usage.completion_tokens]).toEqual([
      'abc',
      'length',
      3,
    ]);
  });

  it('stops at a stop string and lets the engine go', async () => {
    const engine = scripted('one two three');
    app.shelf.putBase(engine);
    const { choices } = await (await post({ model: 'base', stop: [' t'] })).json();
    expect([choices[0].message.content, choices[0].finish_reason]).toEqual(['one', 'stop']);
    expect(engine.ended).toBe(1);
  });

  it('gives n choices', async () => {
    app.shelf.putBase(scripted('x'));
    const { choices, usage } = await (await post({ model: 'base', n: 3 })).json();
    expect(choices.map((one: { index: number }) => one.index)).toEqual([0, 1, 2]);
    expect(usage.completion_tokens).toBe(3);
  });

  it('gives log-probabilities with exact bytes, also of parts of a character', async () => {
    app.shelf.putBase(scripted('aé'));
    const { choices } = await (await post({ model: 'base', logprobs: true, top_logprobs: 2 })).json();
    const { content, refusal } = choices[0].logprobs;
    expect(refusal).toBeNull();
    expect(content.map((one: { bytes: number[] }) => one.bytes)).toEqual([[0x61], [0xc3], [0xa9]]);
    expect(content[0]).toEqual({
      token: 'a',
      logprob: -0.5,
      bytes: [0x61],
      top_logprobs: [
        { token: 'a', logprob: -0.5, bytes: [0x61] },
        { token: 'b', logprob: -1.5, bytes: [0x62] },
      ],
    });
  });

  it('leaves out the log-probabilities of what a stop string cut off', async () => {
    app.shelf.putBase(scripted('abXcd'));
    const { choices } = await (await post({ model: 'base', logprobs: true, stop: 'X' })).json();
    expect(choices[0].logprobs.content.map((one: { token: string }) => one.token)).toEqual(['a', 'b']);
  });
});

describe('a stream', () => {
  it('sends role, text, reason, usage and [DONE], all under one id', async () => {
    app.shelf.putKing(scripted('hello, 語!'), KING);
    const response = await post({ model: 'king', stream: true, stream_options: { include_usage: true } });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('x-quasar-king')).toBe(`7/${REVISION}/123`);
    const list = await chunks(response);
    expect(new Set(list.map((one) => one.id)).size).toBe(1);
    expect(list[0].choices[0].delta).toEqual({ role: 'assistant', content: '', refusal: null });
    expect(textOf(list)).toBe('hello, 語!');
    expect(list.at(-2).choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' });
    expect(list.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 6 } });
    expect(list.slice(0, -1).every((one) => one.usage === null)).toBe(true);
  });

  it('says nothing about usage unless asked', async () => {
    app.shelf.putBase(scripted('x'));
    const list = await chunks(await post({ model: 'base', stream: true }));
    expect(list.every((one) => !('usage' in one))).toBe(true);
  });

  it('carries the same text and log-probabilities as a whole answer', async () => {
    app.shelf.putBase(scripted('hello naïve world END tail'));
    const request = { model: 'base', logprobs: true, top_logprobs: 1, stop: 'END', n: 2 };
    const whole = await (await post(request)).json();
    const list = await chunks(await post({ ...request, stream: true }));
    for (const index of [0, 1]) {
      expect(textOf(list, index)).toBe(whole.choices[index].message.content);
      const streamed = list
        .flatMap((one) => one.choices)
        .filter((one) => one.index === index)
        .flatMap((one) => one.logprobs?.content ?? []);
      expect(streamed).toEqual(whole.choices[index].logprobs.content);
    }
  });

  it('tells of a failure in the stream', async () => {
    const broken = scripted('hello');
    broken.stream = async function* () {
      yield { token: 104, logprob: 0 };
      throw new Error('secret detail');
    };
    app.shelf.putBase(broken);
    const text = await (await post({ model: 'base', stream: true })).text();
    expect(text).toContain('"code":"internal_error"');
    expect(text).not.toMatch(/secret detail|\[DONE\]/);
  });
});

describe('refusals', () => {
  it.each([
    [{ model: 'gpt-4' }, 404, 'model_not_found', 'model'],
    [{ model: 'king' }, 503, 'no_king_yet', 'model'],
    [{ model: 'king@dead' }, 404, 'model_not_found', 'model'],
    [{ model: 'base', temperature: 9 }, 400, 'invalid_value', 'temperature'],
    ['{not json', 400, 'invalid_json', null],
  ])('%j: %i %s', async (body, status, code, param) => {
    const response = await post(body);
    const { error } = await response.json();
    expect(response.status).toBe(status);
    expect(error).toEqual({ code, param, type: expect.any(String), message: expect.any(String) });
  });

  it('tells clients not to wait for a king', async () => {
    expect((await post({ model: 'king' })).headers.get('x-should-retry')).toBe('false');
  });

  it('refuses another content type, which a foreign page could send', async () => {
    const response = await post('{}', { headers: { 'content-type': 'text/plain' } });
    expect([response.status, (await response.json()).error.code]).toEqual([415, 'unsupported_media_type']);
  });

  it('refuses a body that is too large, before reading it', async () => {
    await app.close();
    start({ maxBodyBytes: 1000 });
    app.shelf.putBase(scripted('x'));
    const response = await post({ model: 'base', messages: [{ role: 'user', content: 'x'.repeat(2000) }] });
    expect([response.status, (await response.json()).error.code]).toEqual([413, 'request_too_large']);
  });

  it('refuses a prompt that is too long, in tokens', async () => {
    await app.close();
    start({ maxPromptTokens: 10 });
    app.shelf.putBase(scripted('x'));
    const response = await post({ model: 'base', messages: [{ role: 'user', content: 'q'.repeat(50) }] });
    expect([response.status, (await response.json()).error]).toMatchObject([
      400,
      { code: 'context_length_exceeded', param: 'messages' },
    ]);
  });

  it('refuses more than may wait, with 429, and serves the others', async () => {
    await app.close();
    start({ maxRunning: 1, maxWaiting: 1 });
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    app.shelf.putBase(scripted('ab', () => gate));
    const running = post({ model: 'base' });
    const waiting = post({ model: 'base' });
    await expect.poll(async () => (await (await app.hono.request('/health')).json()).models.waiting, PATIENT).toBe(1);
    const refused = await post({ model: 'base' });
    expect([refused.status, refused.headers.get('retry-after'), (await refused.json()).error]).toMatchObject([
      429,
      '2',
      { code: 'server_busy', type: 'rate_limit_error' },
    ]);
    open();
    expect([(await running).status, (await waiting).status]).toEqual([200, 200]);
  });

  it('gives its place and its model back after every kind of end', async () => {
    app.shelf.putBase(scripted('x'));
    await post({ model: 'base' });
    await (await post({ model: 'base', stream: true })).text();
    await post({ model: 'base', temperature: 9 });
    const { models } = await (await app.hono.request('/health')).json();
    expect([models.running, models.waiting]).toEqual([0, 0]);
  });
});
