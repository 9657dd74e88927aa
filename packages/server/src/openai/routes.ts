/**
 * @file The OpenAI-compatible routes: `GET /v1/models`, `GET /v1/models/{id}`, `POST /v1/chat/completions`,
 * `POST /v1/completions`.
 *
 * Extra headers: `X-Quasar-King: <uid>/<revision>/<crowned at block>` names the king that answers.
 * Left out: tools, JSON modes, API keys.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { encodeChat } from '@quasar/model';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { type SSEStreamingApi, streamSSE } from 'hono/streaming';
import type { Logger } from 'pino';
import type { Loan, ModelCard, ModelShelf } from '../models/model-shelf.ts';
import { type AnswerEnd, answer, type ContentLogprob } from './answer.ts';
import { ApiError, toApiError } from './api-error.ts';
import { bad, type ChatLimits, type ChatRequest, parseChatRequest } from './chat-request.ts';
import { completions } from './completions.ts';
import { envelope, nameKing } from './envelope.ts';
import type { Turnstile } from './turnstile.ts';

export interface OpenAiOptions {
  shelf: ModelShelf;
  turnstile: Turnstile;
  limits: ChatLimits;
  maxBodyBytes: number;
  /** Aborted when the server closes: ends running answers. */
  signal: AbortSignal;
  log: Logger;
}

/** A request that has its model, its place at the turnstile and its prompt. */
interface Ready {
  id: string;
  createdUnix: number;
  request: ChatRequest;
  prompt: Int32Array;
  loan: Loan;
  signal: AbortSignal;
  seeds: (string | number)[];
}

export function openAiRoutes(options: OpenAiOptions): Hono {
  const { shelf, turnstile, limits, maxBodyBytes } = options;
  const routes = new Hono();

  routes.get('/models', (c) => c.json({ object: 'list', data: shelf.list().map(modelObject) }));

  routes.get('/models/:id', (c) => {
    const id = c.req.param('id');
    const card = shelf.list().find((one) => one.id === id);
    if (card) return c.json(modelObject(card));
    shelf.borrow(id).release(); // throws the fitting 404 or 503
    throw new ApiError(503, { code: 'model_loading', type: 'server_error', message: 'Try again.', retryAfterS: 1 });
  });

  const limit = bodyLimit({
    maxSize: maxBodyBytes,
    onError: () => {
      throw new ApiError(413, {
        code: 'request_too_large',
        type: 'invalid_request_error',
        message: `The request body is larger than ${maxBodyBytes} bytes.`,
      });
    },
  });

  routes.post('/chat/completions', limit, async (c) => {
    const request = parseChatRequest(await readJson(c), limits);
    const client = new AbortController();
    const signal = AbortSignal.any([c.req.raw.signal, client.signal, options.signal]);
    const loan = shelf.borrow(request.model);
    let leave = () => {};
    const done = () => {
      client.abort();
      leave();
      loan.release();
    };
    let isStreaming = false;
    try {
      const prompt = encodeChat(loan.engine.tokenizer, request.messages, { addGenerationPrompt: true });
      if (prompt.length > limits.maxPromptTokens)
        throw bad(
          'messages',
          'context_length_exceeded',
          `The messages are ${prompt.length} tokens long; at most ${limits.maxPromptTokens} are read here.`,
        );
      leave = await turnstile.enter(signal);
      const ready: Ready = {
        id: `chatcmpl-${randomUUID().replaceAll('-', '')}`,
        createdUnix: Math.floor(Date.now() / 1000),
        request,
        prompt,
        loan,
        signal,
        seeds: choiceSeeds(request),
      };
      nameKing(c, loan);
      if (!request.stream) return c.json(await wholeAnswer(ready));
      isStreaming = true;
      c.header('X-Accel-Buffering', 'no');
      return streamSSE(c, async (stream) => {
        stream.onAbort(() => client.abort());
        try {
          await streamAnswer(stream, ready);
        } catch (error) {
          if (signal.aborted) return;
          options.log.error({ err: error }, 'answer failed while streaming');
          await stream.writeSSE({ data: JSON.stringify(toApiError(error).body()) });
        } finally {
          done();
        }
      });
    } finally {
      if (!isStreaming) done();
    }
  });

  routes.post('/completions', limit, async (c) => completions(c, await readJson(c), options));

  return routes;
}

async function readJson(c: Context): Promise<unknown> {
  const type = c.req.header('content-type') ?? '';
  // A page of another origin cannot send this type without asking first, so it cannot make us compute.
  if (!/^application\/json\b/i.test(type))
    throw new ApiError(415, {
      code: 'unsupported_media_type',
      type: 'invalid_request_error',
      message: `Send the body with \`Content-Type: application/json\`, got \`${type.slice(0, 60) || 'none'}\`.`,
    });
  const text = await c.req.text();
  try {
    return JSON.parse(text);
  } catch {
    throw bad(null, 'invalid_json', 'The request body is not valid JSON.');
  }
}

/** Choice 0 replays with the seed alone, the others with the seed and their number. Without a seed: a random one. */
function choiceSeeds(request: ChatRequest): (string | number)[] {
  const seed = request.seed ?? randomInt(2 ** 47);
  return Array.from({ length: request.n }, (_, index) => (index === 0 ? seed : `${seed}/${index}`));
}

function modelObject(card: ModelCard) {
  const { id, createdUnix, king } = card;
  const details = king && {
    uid: king.uid,
    hf_repo: king.repo,
    revision: king.revision,
    crowned_at_block: king.crownedAtBlock,
  };
  return { id, object: 'model', created: createdUnix, owned_by: 'quasar', ...(details && { king: details }) };
}

const headOf = ({ id, createdUnix, loan }: Ready, object: string) => envelope(id, object, loan, createdUnix);

function usageOf(ready: Ready, ends: AnswerEnd[]) {
  const prompt_tokens = ready.prompt.length;
  const completion_tokens = ends.reduce((sum, end) => sum + end.completionTokens, 0);
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: 0 },
  };
}

const wireLogprobs = (request: ChatRequest, content: ContentLogprob[]) =>
  request.topLogprobs === null ? null : { content, refusal: null };

/** Choices run one after the other: each token already uses every core. */
async function wholeAnswer(ready: Ready) {
  const { request, loan, prompt, signal } = ready;
  const choices: unknown[] = [];
  const ends: AnswerEnd[] = [];
  for (const [index, seed] of ready.seeds.entries()) {
    const pieces = answer(loan.engine, prompt, request, seed, signal);
    let content = '';
    const logprobs: ContentLogprob[] = [];
    let next = await pieces.next();
    for (; !next.done; next = await pieces.next()) {
      content += next.value.text;
      logprobs.push(...next.value.logprobs);
    }
    ends.push(next.value);
    choices.push({
      index,
      message: { role: 'assistant', content, refusal: null },
      logprobs: wireLogprobs(request, logprobs),
      finish_reason: next.value.finishReason,
    });
  }
  return { ...headOf(ready, 'chat.completion'), choices, usage: usageOf(ready, ends) };
}

async function streamAnswer(stream: SSEStreamingApi, ready: Ready): Promise<void> {
  const { request, loan, prompt, signal } = ready;
  const head = headOf(ready, 'chat.completion.chunk');
  const send = (choices: unknown[], usage: unknown = null) =>
    stream.writeSSE({ data: JSON.stringify({ ...head, choices, ...(request.includeUsage && { usage }) }) });
  const sendChoice = (index: number, delta: object, logprobs: ContentLogprob[] | null, finish_reason: string | null) =>
    send([{ index, delta, logprobs: logprobs && wireLogprobs(request, logprobs), finish_reason }]);

  const ends: AnswerEnd[] = [];
  for (const [index, seed] of ready.seeds.entries()) {
    await sendChoice(index, { role: 'assistant', content: '', refusal: null }, null, null);
    const pieces = answer(loan.engine, prompt, request, seed, signal);
    let next = await pieces.next();
    for (; !next.done; next = await pieces.next())
      await sendChoice(index, { content: next.value.text }, next.value.logprobs, null);
    ends.push(next.value);
    await sendChoice(index, {}, null, next.value.finishReason);
  }
  if (request.includeUsage) await send([], usageOf(ready, ends));
  await stream.writeSSE({ data: '[DONE]' });
}
