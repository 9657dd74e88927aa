/** @file Servers of others: the shapes of vLLM, llama.cpp and OpenAI, borders that move, and servers that misbehave. */
import { gzipSync } from 'node:zlib';
import { trainBpe } from '@quasar/model';
import { afterEach, describe, expect, it } from 'vitest';
import { type Asked, type FakeServer, fakeServer, type Reply } from '../testing/fake-server.ts';
import { TOKENIZER } from '../testing/tiny-engine.ts';
import { readAnswer } from './answer-shapes.ts';
import { OpenAiTeacher, type OpenAiTeacherOptions } from './openai.ts';
import { NO_MASS } from './view-rows.ts';
import { TokenLookup } from './vocabulary.ts';

const K = 4;
const V = TOKENIZER.vocabSize;
const QUICK = { retryDelayMs: 1, attempts: 3, answerTimeoutMs: 2000 };
const OPTIONS = { maxNewTokens: 4, topK: K, temperature: 1, topP: 1, seeds: [11, 12], untilEnd: false };
const CONTINUATION = TOKENIZER.encode(' king').slice(0, 4);

let server: FakeServer;
afterEach(() => server.close());

const connect = (change: Partial<OpenAiTeacherOptions> = {}) =>
  OpenAiTeacher.connect({ url: server.url, tokenizer: TOKENIZER, topK: K, limits: QUICK, ...change });
const start = async (reply: (asked: Asked, number: number) => Reply) => {
  server = await fakeServer(reply);
};

const textOf = (id: number) => TOKENIZER.decode([id], { specials: true });
const idsOf = (prompt: string | number[]) =>
  typeof prompt === 'string' ? TOKENIZER.encode(prompt, { specials: true }) : Int32Array.from(prompt);
const MODELS: Reply = { json: { data: [{ id: 'm' }] } };
const MISSING: Reply = { status: 404, json: { error: { message: 'no such path' } } };
/** Of the id itself and those after it: e^-0.5, e^-1.5, ... */
const viewOf = (id: number, k: number) =>
  Array.from({ length: k }, (_, n) => ({ id: (id + n) % V, logprob: -1.5 - n }));

/** `/v1/completions` with text for tokens, or with ids where they are asked for. */
function completion({ body }: Asked, more: { echoes?: boolean; extra?: Record<string, number> } = {}): Reply {
  const prompt = idsOf(body.prompt);
  const made = CONTINUATION.slice(0, body.max_tokens);
  const shown = body.echo && more.echoes !== false ? [...prompt, ...made] : [...made];
  const name = (id: number) => (body.return_tokens_as_token_ids ? `token_id:${id}` : textOf(id));
  const isFirst = (i: number) => shown.length > made.length && i === 0;
  return {
    json: {
      choices: [
        {
          index: 0,
          text: '',
          finish_reason: 'length',
          logprobs: {
            tokens: shown.map(name),
            token_logprobs: shown.map((_, i) => (isFirst(i) ? null : -1.5)),
            top_logprobs: shown.map((id, i) =>
              isFirst(i)
                ? null
                : {
                    ...Object.fromEntries(viewOf(id, body.logprobs).map((e) => [name(e.id), e.logprob])),
                    ...more.extra,
                  },
            ),
            text_offset: shown.map(() => 0),
          },
        },
      ],
      usage: { prompt_tokens: prompt.length, completion_tokens: made.length },
    },
  };
}

/** vLLM: ids everywhere, /tokenize. */
const vllm =
  (extra: Record<string, number> = {}) =>
  (asked: Asked): Reply => {
    if (asked.path === '/v1/models') return MODELS;
    if (asked.path === '/tokenize') return { json: { tokens: [...TOKENIZER.encode(asked.body.prompt)] } };
    return asked.path === '/v1/completions' ? completion(asked, { extra }) : MISSING;
  };

describe('vLLM', () => {
  it('is asked for ids and answers with ids', async () => {
    await start(vllm());
    const teacher = await connect();
    expect(teacher.identity).toMatchObject({ model: 'm', prompts: 'ids', vocabulary: 'ids' });
    const ids = TOKENIZER.encode('hello ');
    const { traces, report } = await teacher.generate([{ ids }], OPTIONS);
    expect(report).toEqual({ views: 4, viewsWithUnknown: 0, unknownMass: 0, cutTraces: 0, movedBorders: 0 });
    expect(traces[0]).toMatchObject({ prompt: ids, continuation: CONTINUATION });
    const { top } = traces[0]!;
    expect([...top.ids.slice(0, K)]).toEqual(viewOf(CONTINUATION[0]!, K).map(({ id }) => id));
    expect([...top.logprobs.slice(0, K)]).toEqual([-1.5, -2.5, -3.5, -4.5]);
    const mass = [-1.5, -2.5, -3.5, -4.5].reduce((sum, logprob) => sum + Math.exp(logprob), 0);
    expect(top.tail[0]).toBeCloseTo(1 - mass, 6);
    expect(server.asked.at(-1)!.body).toMatchObject({
      ...{ model: 'm', prompt: [...ids], max_tokens: 4, logprobs: K, seed: 11 },
      ...{ ignore_eos: true, return_tokens_as_token_ids: true },
    });
  });

  it('tokens that we lack go to the tail and are counted; fewer known ones than k are filled up with nothing', async () => {
    await start(vllm({ [`token_id:${V}`]: -2, 'token_id:999999': -1 }));
    const teacher = await connect({ topK: 2 });
    const options = { ...OPTIONS, topK: K, maxNewTokens: 1 };
    const { traces, report } = await teacher.generate([{ ids: TOKENIZER.encode('hello') }], { ...options, topK: 2 });
    expect(report.unknownMass).toBeCloseTo(Math.exp(-1) + Math.exp(-2), 9);
    expect(report).toMatchObject({ views: 1, viewsWithUnknown: 1 });
    expect([...traces[0]!.top.logprobs]).toEqual([-1.5, -2.5]);
    expect(traces[0]!.top.tail[0]).toBeCloseTo(1 - Math.exp(-1.5) - Math.exp(-2.5), 6);
    await server.close();

    // Of two entries one is known.
    await start((asked) => {
      const reply = vllm()(asked) as { json: { choices?: { logprobs: { top_logprobs: object[] } }[] } };
      const logprobs = reply.json.choices?.[0]?.logprobs;
      if (logprobs && !asked.body.echo) logprobs.top_logprobs = [{ 'token_id:5': -1, 'token_id:999999': -2 }];
      return reply;
    });
    const short = await (await connect({ topK: 2 })).generate([{ ids: TOKENIZER.encode('x') }], {
      ...OPTIONS,
      ...{ topK: 2, maxNewTokens: 1 },
    });
    expect([...short.traces[0]!.top.ids]).toEqual([5, V - 1]);
    expect([...short.traces[0]!.top.logprobs]).toEqual([-1, NO_MASS]);
  });

  it('a continuation ends before a token that we lack', async () => {
    await start((asked) => {
      const reply = vllm()(asked) as { json: { choices?: { logprobs: { tokens: string[] } }[] } };
      const logprobs = reply.json.choices?.[0]?.logprobs;
      if (logprobs && logprobs.tokens.length === 4 && !asked.body.echo) logprobs.tokens[2] = 'token_id:999999';
      return reply;
    });
    const { traces, report } = await (await connect()).generate([{ ids: TOKENIZER.encode('hello') }], OPTIONS);
    expect(traces[0]!.continuation).toEqual(CONTINUATION.slice(0, 2));
    expect(report).toMatchObject({ cutTraces: 1, views: 2 });
  });

  it('a prompt that it counts otherwise is refused', async () => {
    await start((asked) => {
      const reply = vllm()(asked) as { json: { usage?: { prompt_tokens: number } } };
      if (reply.json.usage && asked.body.max_tokens > 1) reply.json.usage.prompt_tokens++;
      return reply;
    });
    const teacher = await connect();
    await expect(teacher.generate([{ ids: TOKENIZER.encode('hello') }], OPTIONS)).rejects.toMatchObject({
      code: 'infer.prompt_not_aligned',
    });
  });
});

describe('a server that takes text and shows its tokens as text', () => {
  const plain = (asked: Asked): Reply => {
    if (asked.path === '/v1/models') return MODELS;
    if (asked.path !== '/v1/completions') return MISSING;
    if (asked.body.ignore_eos !== undefined || asked.body.return_tokens_as_token_ids !== undefined)
      return { status: 400, json: { error: { message: 'unknown field' } } };
    return typeof asked.body.prompt === 'string' ? completion(asked) : { status: 400, json: { error: 'no text' } };
  };

  it('is read by the borders of its tokens', async () => {
    await start(plain);
    const teacher = await connect();
    expect(teacher.identity).toMatchObject({ prompts: 'text', vocabulary: 'splits' });
    const ids = TOKENIZER.encode('hello world, ');
    const { traces, report } = await teacher.generate([{ ids }], OPTIONS);
    expect(traces[0]).toMatchObject({ prompt: ids, continuation: CONTINUATION });
    expect(report.movedBorders).toBe(0);
    expect(server.asked.at(-1)!.body).toMatchObject({ prompt: 'hello world, ', echo: true });
  });

  it('parts of characters, which text cannot name, are told by their neighbours', async () => {
    await start(plain);
    const teacher = await connect();
    const ids = TOKENIZER.encode('naïve 🙂 語, hello ');
    const { traces, report } = await teacher.generate([{ ids }], OPTIONS);
    expect(traces[0]).toMatchObject({ prompt: ids, continuation: CONTINUATION });
    expect(report.movedBorders).toBe(0);
  });

  it('where its tokens merge over the end of our prompt, the prompt is cut back to a border that both have', async () => {
    await start(plain);
    const teacher = await connect();
    // Cut in the middle of a word, as a window of a text may be: the server merges what we left apart.
    const apart = TOKENIZER.encode('world, ');
    const ids = Int32Array.of(...apart, ...TOKENIZER.encode('h'), ...TOKENIZER.encode('ello'));
    const whole = TOKENIZER.encode('world, hello');
    expect(whole).not.toEqual(ids);
    const { traces, report } = await teacher.generate([{ ids }], OPTIONS);
    const { prompt, continuation, top } = traces[0]!;
    expect(report.movedBorders).toBe(1);
    expect(prompt).toEqual(ids.slice(0, prompt.length));
    expect(Int32Array.of(...prompt, ...continuation)).toEqual(Int32Array.of(...whole, ...CONTINUATION));
    expect(prompt.length).toBeLessThan(ids.length);
    expect(top.tail).toHaveLength(continuation.length);
  });

  it('a prompt with another beginning is refused', async () => {
    await start((asked) => {
      const reply = plain(asked) as { json: { choices?: { logprobs: { tokens: string[] } }[] } };
      if (asked.body?.max_tokens > 1) reply.json.choices![0]!.logprobs.tokens.unshift('<s>');
      return reply;
    });
    const teacher = await connect();
    // The lists of the answer no longer fit each other.
    await expect(teacher.generate([{ ids: TOKENIZER.encode('hello') }], OPTIONS)).rejects.toMatchObject({
      code: 'infer.teacher_answer',
    });
    await server.close();
    await start((asked) =>
      asked.body?.max_tokens > 1 ? plain({ ...asked, body: { ...asked.body, prompt: 'another text' } }) : plain(asked),
    );
    const other = await connect();
    await expect(other.generate([{ ids: TOKENIZER.encode('hello') }], OPTIONS)).rejects.toMatchObject({
      code: 'infer.prompt_not_aligned',
    });
  });
});

describe('llama.cpp', () => {
  const entry = (id: number, logprob: number) => ({
    ...{ id, logprob, token: textOf(id) },
    bytes: [...TOKENIZER.vocabulary.tokens[id]!],
  });
  const position = (id: number, k: number) => ({
    ...entry(id, -1.5),
    top_logprobs: viewOf(id, k).map((one) => entry(one.id, one.logprob)),
  });
  const llama = (asked: Asked): Reply => {
    const { path, body } = asked;
    if (path === '/v1/models') return MODELS;
    if (path === '/tokenize') return { json: { tokens: [...TOKENIZER.encode(body.content)] } };
    if (path !== '/v1/completions') return MISSING;
    const content = [...CONTINUATION.slice(0, body.max_tokens)].map((id) => position(id, body.n_probs));
    const usage = { prompt_tokens: idsOf(body.prompt).length };
    return { json: { choices: [{ text: '', finish_reason: 'length', logprobs: { content } }], usage } };
  };

  it('gives ids beside the text', async () => {
    await start(llama);
    const teacher = await connect();
    expect(teacher.identity).toMatchObject({ prompts: 'ids', vocabulary: 'ids' });
    const ids = TOKENIZER.encode('hello ');
    const { traces } = await teacher.generate([{ ids }, { ids }], OPTIONS);
    expect(traces).toHaveLength(2);
    expect(traces[1]).toMatchObject({ prompt: ids, continuation: CONTINUATION });
    expect([...traces[0]!.top.ids.slice(0, K)]).toEqual(viewOf(CONTINUATION[0]!, K).map(({ id }) => id));
    // It has no echo: texts cannot be scored.
    await expect(teacher.score([{ tokens: ids, from: 1 }], { topK: K })).rejects.toMatchObject({
      code: 'infer.teacher_unsupported',
    });
  });

  it('its own endpoint reports completion_probabilities in the same shape', async () => {
    await start(llama);
    const body = { content: '', completion_probabilities: [...CONTINUATION].map((id) => position(id, K)) };
    const { steps } = readAnswer(body, new TokenLookup(TOKENIZER), 4);
    expect(steps!.map(({ id }) => id)).toEqual([...CONTINUATION]);
    expect(steps![0]!.entries).toEqual(viewOf(CONTINUATION[0]!, K));
  });
});

describe('chat', () => {
  it('takes a conversation, finds tokens by their bytes, and is known by how many tokens it counts', async () => {
    const bytesOf = (id: number) => [...TOKENIZER.vocabulary.tokens[id]!];
    await start(({ path, body }) => {
      if (path === '/v1/models') return MODELS;
      if (path !== '/v1/chat/completions') return MISSING;
      const content = [...CONTINUATION.slice(0, body.max_tokens)].map((id) => ({
        ...{ token: '\ufffd', bytes: bytesOf(id), logprob: -1.5 },
        top_logprobs: viewOf(id, body.top_logprobs).map((one) => ({
          ...{ token: '\ufffd', bytes: bytesOf(one.id), logprob: one.logprob },
        })),
      }));
      const text: string = body.messages.map((message: { content: string }) => message.content).join('');
      const usage = { prompt_tokens: 7 + TOKENIZER.encode(text).length };
      return { json: { choices: [{ logprobs: { content }, finish_reason: 'stop' }], usage } };
    });
    const teacher = await connect();
    expect(teacher.identity).toMatchObject({ prompts: 'messages', vocabulary: 'counts' });
    const ids = TOKENIZER.encode('hello');
    const messages = [{ role: 'user' as const, content: 'hello' }];
    const { traces } = await teacher.generate([{ ids, messages }], OPTIONS);
    expect(traces[0]).toMatchObject({ prompt: ids, continuation: CONTINUATION });
    await expect(teacher.generate([{ ids }], OPTIONS)).rejects.toMatchObject({ code: 'infer.teacher_unsupported' });
  });
});

describe('a server of another vocabulary', () => {
  const other = trainBpe(['She said naïve things to coöperate with the world'], { vocabSize: V });

  it('is refused by its /tokenize, with the first difference', async () => {
    await start((asked) =>
      asked.path === '/tokenize' ? { json: { tokens: [...other.encode(asked.body.prompt)] } } : vllm()(asked),
    );
    await expect(connect()).rejects.toMatchObject({
      code: 'infer.vocabulary_differs',
      message: expect.stringMatching(/tokens here and \d+ there; token \d+ is/),
    });
  });

  it('is refused by how it cuts an echoed prompt', async () => {
    await start((asked) => {
      if (asked.path === '/tokenize') return MISSING;
      if (!asked.body?.echo) return vllm()(asked);
      const tokens = [...other.encode(asked.body.prompt)].map((id) => other.decode([id]));
      const none = tokens.map(() => null);
      const logprobs = { tokens, token_logprobs: none, top_logprobs: none };
      return { json: { choices: [{ logprobs }], usage: { prompt_tokens: tokens.length } } };
    });
    await expect(connect()).rejects.toMatchObject({ code: 'infer.vocabulary_differs' });
  });

  it('is refused when it shows nothing to go by', async () => {
    await start((asked) => {
      if (asked.path === '/tokenize') return MISSING;
      const reply = vllm()(asked) as { json: { usage?: unknown } };
      delete reply.json.usage;
      return asked.body?.echo ? { status: 400, json: { error: { message: 'no echo' } } } : reply;
    });
    await expect(connect()).rejects.toMatchObject({ code: 'infer.teacher_unsupported' });
  });
});

describe('a server that misbehaves', () => {
  const onCompletion =
    (reply: (asked: Asked, number: number) => Reply) =>
    (asked: Asked, number: number): Reply =>
      asked.path === '/v1/completions' ? reply(asked, number) : vllm()(asked);

  it('is asked again when it is busy, and not before it says', async () => {
    let busy = 2;
    await start(
      onCompletion((asked) =>
        busy-- > 0 ? { status: busy ? 429 : 503, headers: { 'retry-after': '0.05' }, json: {} } : vllm()(asked),
      ),
    );
    const startedAtMs = performance.now();
    await connect();
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(95);
    expect(server.asked.filter(({ path }) => path === '/v1/completions').length).toBeGreaterThan(3);
  });

  it.each<[string, Reply, string]>([
    ['fails for ever', { status: 500, json: {} }, 'infer.teacher_unreachable'],
    [
      'cuts its answers',
      (response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{"choices": [');
        setTimeout(() => response.destroy(), 5);
      },
      'infer.teacher_unreachable',
    ],
    ['never answers', () => {}, 'infer.teacher_unreachable'],
    ['sends no JSON', (response) => response.end('<html>'), 'infer.teacher_answer'],
    [
      'sends without end',
      (response) => {
        response.writeHead(200);
        const more = () => {
          if (!response.destroyed) response.write('x'.repeat(2 ** 16), () => setImmediate(more));
        };
        more();
      },
      'infer.teacher_answer',
    ],
    [
      'points elsewhere',
      (response) => response.writeHead(302, { location: 'http://10.0.0.1/' }).end(),
      'infer.teacher_answer',
    ],
    [
      'compresses',
      (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{}')),
      'infer.teacher_answer',
    ],
    ['sends no log-probabilities', { json: { choices: [{ logprobs: null }] } }, 'infer.teacher_unsupported'],
    ['sends two choices', { json: { choices: [{}, {}] } }, 'infer.teacher_answer'],
    [
      'sends lists of different lengths',
      { json: { choices: [{ logprobs: { tokens: ['a'], token_logprobs: [], top_logprobs: [{}] } }] } },
      'infer.teacher_answer',
    ],
    [
      'sends more positions than were asked for',
      {
        json: {
          choices: [{ logprobs: { tokens: ['a', 'b'], token_logprobs: [0, 0], top_logprobs: [{ a: 0 }, { b: 0 }] } }],
        },
      },
      'infer.teacher_answer',
    ],
    [
      'sends logits',
      { json: { choices: [{ logprobs: { tokens: ['a'], token_logprobs: [3], top_logprobs: [{ a: 3.5 }] } }] } },
      'infer.teacher_answer',
    ],
  ])('that %s is refused', async (_, reply, code) => {
    await start(onCompletion(() => reply));
    await expect(
      connect({ limits: { ...QUICK, attempts: 2, answerTimeoutMs: 150, maxAnswerBytes: 2 ** 20 } }),
    ).rejects.toMatchObject({ code });
  });

  it('probabilities above one are refused', async () => {
    await start(onCompletion((asked) => completion(asked, { extra: { 'token_id:9': -0.1, 'token_id:10': -0.2 } })));
    const teacher = await connect();
    await expect(teacher.generate([{ ids: TOKENIZER.encode('hello') }], OPTIONS)).rejects.toMatchObject({
      code: 'infer.teacher_answer',
    });
  });

  it('nobody listens', async () => {
    await start(() => MISSING);
    await server.close();
    await expect(connect()).rejects.toMatchObject({ code: 'infer.teacher_unreachable', retry: 'later' });
  });

  it('the caller may stop waiting', async () => {
    const stopped = new AbortController();
    await start(
      onCompletion(() => {
        stopped.abort();
        return { status: 503, headers: { 'retry-after': '60' }, json: {} };
      }),
    );
    await expect(connect({ signal: stopped.signal })).rejects.toMatchObject({ code: 'infer.cancelled' });
  });

  it('one prompt that fails ends the others', async () => {
    await start(
      onCompletion((asked) =>
        asked.body.seed === 12 ? { status: 400, json: { error: { message: 'no' } } } : vllm()(asked),
      ),
    );
    const teacher = await connect({ parallel: 1 });
    const ids = TOKENIZER.encode('hello');
    const before = server.asked.length;
    const prompts = Array.from({ length: 6 }, () => ({ ids }));
    await expect(teacher.generate(prompts, { ...OPTIONS, seeds: [11, 12, 13, 14, 15, 16] })).rejects.toMatchObject({
      code: 'infer.teacher_refused',
    });
    expect(server.asked.length - before).toBe(2);
  });
});

describe('the key', () => {
  it('comes from the environment, goes to the server and into no message', async () => {
    await start(({ authorization }) => ({ status: 401, json: { error: { message: `bad key ${authorization}` } } }));
    process.env.TEACHER_TEST_KEY = 'sk-very-secret';
    try {
      const refused = await connect({ keyVariable: 'TEACHER_TEST_KEY' }).catch((error: Error) => error);
      expect(server.asked[0]!.authorization).toBe('Bearer sk-very-secret');
      expect(refused).toMatchObject({ code: 'infer.teacher_refused', message: expect.stringContaining('[key]') });
      expect(JSON.stringify(refused)).not.toContain('very-secret');
    } finally {
      delete process.env.TEACHER_TEST_KEY;
    }
    await connect().catch(() => {});
    expect(server.asked.at(-1)!.authorization).toBeUndefined();
  });

  it.each(['ftp://host/v1', 'http://user:secret@host/v1', 'host:8000'])('%s is no address', async (url) => {
    await start(() => MISSING);
    const refused = await connect({ url }).catch((error: Error) => error);
    expect(refused).toMatchObject({ code: 'infer.teacher_url' });
    expect((refused as Error).message).not.toContain('secret');
  });
});

it('of several models one has to be named', async () => {
  await start((asked) =>
    asked.path === '/v1/models' ? { json: { data: [{ id: 'a' }, { id: 'b' }] } } : vllm()(asked),
  );
  await expect(connect()).rejects.toMatchObject({ code: 'infer.teacher_model', hint: expect.stringContaining('a, b') });
  expect((await connect({ model: 'b' })).identity).toMatchObject({ model: 'b' });
});
