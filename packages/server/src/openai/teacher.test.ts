/** @file A checkpoint asked through this server teaches what it teaches when asked directly. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalTeacher, OpenAiTeacher, type TeacherAnswer } from '@quasar/infer';
import { encodeChat, trainBpe } from '@quasar/model';
import { openStore, type Store } from '@quasar/store';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type App, createApp } from '../app.ts';
import { createLog } from '../log.ts';
import { type Served, serve } from '../serve.ts';
import { tokenizer, writeRandomCheckpoint } from '../testing/checkpoint.ts';

let root: string;
let store: Store;
let app: App;
let served: Served;
let local: LocalTeacher;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quasar-teacher-'));
  await writeRandomCheckpoint(root);
  store = openStore({ path: ':memory:' });
  app = createApp({ store, models: { baseDirectory: root }, log: createLog('silent') });
  await app.ready;
  served = await serve(app, { port: 0 });
  local = await LocalTeacher.load(root);
});

afterAll(async () => {
  local.dispose();
  await served.close();
  store.close();
  rmSync(root, { recursive: true });
});

const TOP_K = 24;
const connect = (change: object = {}) =>
  OpenAiTeacher.connect({ url: served.url, tokenizer, topK: TOP_K, parallel: 3, ...change });

const conversations = ['hello', 'hello world, hello king', 'naïve 語?'].map((content) => [
  { role: 'user' as const, content },
]);
const prompts = conversations.map((messages) => ({
  ids: encodeChat(tokenizer, messages, { addGenerationPrompt: true }),
  messages,
}));
const OPTIONS = { maxNewTokens: 12, topK: TOP_K, temperature: 0.8, topP: 0.95, seeds: [5, 6, 7], untilEnd: false };

/** Equal ids; numbers within what text and another batch do to them. */
function expectSame(got: TeacherAnswer, expected: TeacherAnswer): void {
  expect(got.report).toEqual(expected.report);
  expect(got.traces.map(({ prompt, continuation }) => ({ prompt, continuation }))).toEqual(
    expected.traces.map(({ prompt, continuation }) => ({ prompt, continuation })),
  );
  for (const [i, { top }] of got.traces.entries()) {
    const other = expected.traces[i]!.top;
    expect([top.k, top.ids]).toEqual([other.k, other.ids]);
    for (const [j, logprob] of top.logprobs.entries()) expect(logprob).toBeCloseTo(other.logprobs[j]!, 5);
    for (const [j, tail] of top.tail.entries()) expect(tail).toBeCloseTo(other.tail[j]!, 5);
  }
}

it('the traces over HTTP are those of the checkpoint itself', async () => {
  const remote = await connect();
  expect(remote.identity).toEqual({
    kind: 'openai',
    host: new URL(served.url).host,
    model: 'base',
    prompts: 'ids',
    vocabulary: 'ids',
    tokenizerSha256: local.identity.tokenizerSha256,
  });
  const expected = await local.generate(prompts, OPTIONS);
  expect(expected.traces.map(({ continuation }) => continuation.length)).toEqual([12, 12, 12]);
  expectSame(await remote.generate(prompts, OPTIONS), expected);
  const others = await remote.generate(prompts, { ...OPTIONS, seeds: [8, 9, 10] });
  expect(others.traces[0]!.continuation).not.toEqual(expected.traces[0]!.continuation);
});

it('a continuation that may end does so after the token that ends a turn, on both ways', async () => {
  const remote = await connect();
  const seeds = Array.from({ length: 10 }, (_, i) => i);
  const options = { ...OPTIONS, maxNewTokens: 150, topK: 3, temperature: 2, topP: 1, seeds, untilEnd: true };
  const many = seeds.map((i) => prompts[i % prompts.length]!);
  const expected = await local.generate(many, options);
  const ends = expected.traces.map(({ continuation }) => continuation.indexOf(tokenizer.specials.end));
  expect(ends.some((at) => at >= 0)).toBe(true);
  for (const [i, { continuation }] of expected.traces.entries())
    if (ends[i]! >= 0) expect(ends[i]).toBe(continuation.length - 1);
  expectSame(await remote.generate(many, options), expected);
});

it('given texts are scored alike', async () => {
  const remote = await connect();
  const texts = ['hello world, hello world', 'king, naïve'].map((text) => ({
    tokens: tokenizer.encode(text),
    from: 3,
  }));
  const expected = await local.score(texts, { topK: TOP_K });
  expect(expected.traces[0]!.continuation).toEqual(texts[0]!.tokens.slice(3));
  expectSame(await remote.score(texts, { topK: TOP_K }), expected);
});

it('a conversation goes through the chat endpoint, where texts cannot be scored', async () => {
  const remote = await connect({ endpoint: 'chat', topK: 20 });
  expect(remote.identity).toMatchObject({ prompts: 'messages', vocabulary: 'counts' });
  const options = { ...OPTIONS, topK: 20, untilEnd: true };
  const expected = await local.generate(prompts, options);
  const got = await remote.generate(prompts, options);
  for (const [i, { continuation, top }] of got.traces.entries()) {
    // The chat endpoint keeps the end of the turn to itself.
    const n = continuation.length;
    expect(n).toBeGreaterThan(0);
    expect(continuation).toEqual(expected.traces[i]!.continuation.slice(0, n));
    const other = expected.traces[i]!.top;
    for (const [j, logprob] of top.logprobs.entries()) expect(logprob).toBeCloseTo(other.logprobs[j]!, 5);
  }
  await expect(remote.score([{ tokens: prompts[0]!.ids, from: 1 }], { topK: 20 })).rejects.toMatchObject({
    code: 'infer.teacher_unsupported',
  });
});

it('a student of another vocabulary is refused', async () => {
  const other = trainBpe(['quite another language, what is quite another'], { vocabSize: tokenizer.vocabSize });
  for (const endpoint of ['completions', 'chat'])
    await expect(connect({ tokenizer: other, endpoint, topK: 20 })).rejects.toMatchObject({
      code: 'infer.vocabulary_differs',
    });
});

it('more entries than the server gives are refused before any work', async () => {
  await expect(connect({ endpoint: 'chat', topK: 21 })).rejects.toMatchObject({ code: 'infer.teacher_refused' });
});
