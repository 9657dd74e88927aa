/** @file The official `openai` client against a served instance; answers of a real model and of scripted ones. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, type Store } from '@quasar/store';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type App, createApp } from '../app.ts';
import { createLog } from '../log.ts';
import { type Served, serve } from '../serve.ts';
import { scripted, writeRandomCheckpoint } from '../testing/checkpoint.ts';

/** Loaded machines are slow; a wait that ends sooner costs nothing. */
const PATIENT = { timeout: 20_000 };

let root: string;
let store: Store;
let app: App;
let served: Served;
let client: OpenAI;
const messages = [{ role: 'user' as const, content: 'hello' }];
/** Random weights may want to stop at once; this keeps them talking for a while. */
const request = { model: 'base', messages, temperature: 0, max_tokens: 12 };

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quasar-client-'));
  await writeRandomCheckpoint(root);
  store = openStore({ path: ':memory:' });
  app = createApp({ store, models: { baseDirectory: root }, log: createLog('silent') });
  await app.ready;
  served = await serve(app, { port: 0 });
  client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: 'none', maxRetries: 0 });
});

afterAll(async () => {
  await served.close();
  store.close();
  rmSync(root, { recursive: true });
});

it('lists the models', async () => {
  const ids: string[] = [];
  for await (const model of client.models.list()) ids.push(model.id);
  expect(ids).toEqual(['base']);
  expect((await client.models.retrieve('base')).owned_by).toBe('quasar');
});

it('a real model answers, the same whole and streamed', async () => {
  const whole = await client.chat.completions.create(request);
  const [choice] = whole.choices;
  expect(whole.usage?.completion_tokens).toBeGreaterThan(0);
  let text = '';
  let reason: string | null = null;
  let usage: OpenAI.CompletionUsage | null | undefined;
  const stream = await client.chat.completions.create({
    ...request,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? '';
    reason = chunk.choices[0]?.finish_reason ?? reason;
    usage = chunk.usage ?? usage;
  }
  expect(text).toBe(choice?.message.content);
  expect(reason).toBe(choice?.finish_reason);
  expect(usage).toEqual(whole.usage);
});

it('a seed replays an answer exactly; another seed gives another', async () => {
  const ask = async (seed: number) =>
    (await client.chat.completions.create({ ...request, temperature: 1, seed, n: 2 })).choices.map(
      (one) => one.message.content,
    );
  const first = await ask(1);
  expect(await ask(1)).toEqual(first);
  expect(await ask(2)).not.toEqual(first);
  expect(first[0]).not.toBe(first[1]);
});

it('log-probabilities of a real model: most likely first, and greedy takes the first', async () => {
  const { choices } = await client.chat.completions.create({ ...request, logprobs: true, top_logprobs: 3 });
  const content = choices[0]?.logprobs?.content ?? [];
  expect(content.length).toBeGreaterThan(0);
  for (const { token, logprob, top_logprobs } of content) {
    const values = top_logprobs.map((one) => one.logprob);
    expect(values).toEqual(values.toSorted((a, b) => b - a));
    expect(top_logprobs[0]?.token).toBe(token);
    expect(top_logprobs[0]?.logprob).toBeCloseTo(logprob, 4);
  }
});

it('the stream helper of the client assembles the answer', async () => {
  const final = await client.chat.completions.stream({ ...request, stream: true }).finalChatCompletion();
  const whole = await client.chat.completions.create(request);
  expect(final.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
});

it.each([
  ['an unknown model', { ...request, model: 'gpt-4' }, OpenAI.NotFoundError, 'model_not_found'],
  ['no king', { ...request, model: 'king' }, OpenAI.InternalServerError, 'no_king_yet'],
  ['a bad value', { ...request, temperature: 5 }, OpenAI.BadRequestError, 'invalid_value'],
])('%s is the error class that the client has for it', async (_, body, kind, code) => {
  const failure = await client.chat.completions.create(body).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(kind);
  expect(failure).toMatchObject({ code, type: expect.any(String), requestID: expect.any(String) });
});

it('a client that leaves stops the model: streamed', async () => {
  const engine = scripted('never read '.repeat(50), () => new Promise((resolve) => setTimeout(resolve, 5)));
  app.shelf.putKing(engine, { uid: 1, repo: 'a/b', revision: 'c'.repeat(40), crownedAtBlock: 1 });
  const stream = await client.chat.completions.create({ ...request, model: 'king', max_tokens: 500, stream: true });
  for await (const _ of stream) break;
  await expect.poll(() => engine.ended, PATIENT).toBe(1);
  expect(engine.signals[0]?.aborted).toBe(true);
});

it('a client that leaves stops the model: whole', async () => {
  let begun = () => {};
  const started = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const engine = scripted('never read', () => {
    begun();
    return new Promise((resolve) => setTimeout(resolve, 20));
  });
  app.shelf.putKing(engine, { uid: 2, repo: 'a/b', revision: 'd'.repeat(40), crownedAtBlock: 2 });
  const leave = new AbortController();
  const answer = client.chat.completions.create(
    { ...request, model: 'king', max_tokens: 500 },
    { signal: leave.signal },
  );
  await started;
  leave.abort();
  await expect(answer).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
  await expect.poll(() => engine.signals[0]?.aborted, PATIENT).toBe(true);
  await expect.poll(async () => (await (await fetch(`${served.url}/health`)).json()).models.running, PATIENT).toBe(0);
});

it('an answer goes on with the king it began with', async () => {
  const king = (name: string, uid: number) => ({
    uid,
    repo: name,
    revision: String(uid).repeat(40),
    crownedAtBlock: uid,
  });
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const old = scripted('old king speaks', () => gate);
  app.shelf.putKing(old, king('team/old', 3));
  const { data, response } = await client.chat.completions
    .create({ ...request, model: 'king', max_tokens: 500, stream: true })
    .withResponse();
  app.shelf.putKing(scripted('new king'), king('team/new', 4));
  expect(response.headers.get('x-quasar-king')).toBe(`3/${'3'.repeat(40)}/3`);
  open();
  let text = '';
  for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? '';
  expect(text).toBe('old king speaks');
  await expect.poll(() => old.isDisposed, PATIENT).toBe(true);
  const next = await client.chat.completions.create({ ...request, model: 'king', max_tokens: 500 });
  expect(next.choices[0]?.message.content).toBe('new king');
});
