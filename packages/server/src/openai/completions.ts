/** @file `POST /v1/completions`: choices one after the other, whole. */
import { randomInt, randomUUID } from 'node:crypto';
import type { Tokenizer } from '@quasar/model';
import type { Context } from 'hono';
import { bad } from './chat-request.ts';
import { complete } from './completion.ts';
import { type CompletionRequest, parseCompletionRequest } from './completion-request.ts';
import { envelope, nameKing } from './envelope.ts';
import type { OpenAiOptions } from './routes.ts';

/** Views of an echoed prompt are all in memory, and then in the answer. */
const MAX_ECHOED_ENTRIES = 2 ** 20;

export async function completions(c: Context, json: unknown, options: OpenAiOptions): Promise<Response> {
  const { shelf, turnstile, limits } = options;
  const request = parseCompletionRequest(json, limits);
  const signal = AbortSignal.any([c.req.raw.signal, options.signal]);
  const loan = shelf.borrow(request.model);
  let leave = () => {};
  try {
    const prompts = request.prompts.map((prompt) => promptIds(prompt, loan.engine.tokenizer, limits.maxPromptTokens));
    const echoed = prompts.reduce((sum, { length }) => sum + length, 0) * (request.topLogprobs ?? 0);
    if (request.echo && echoed > MAX_ECHOED_ENTRIES) {
      const most = `\`echo\` gives at most ${MAX_ECHOED_ENTRIES} log-probabilities of prompts, asked for ${echoed}.`;
      throw bad('logprobs', 'integer_above_max_value', most);
    }
    leave = await turnstile.enter(signal);
    nameKing(c, loan);
    const head = envelope(`cmpl-${randomUUID().replaceAll('-', '')}`, 'text_completion', loan);
    const choices = [];
    let completionTokens = 0;
    const seeds = promptSeeds(request);
    for (const [index, prompt] of prompts.entries()) {
      const one = await complete(loan.engine, prompt, request, seeds[index]!, signal);
      const { text, logprobs, finishReason } = one;
      choices.push({ index, text, logprobs, finish_reason: finishReason });
      completionTokens += one.completionTokens;
    }
    const promptTokens = prompts.reduce((sum, { length }) => sum + length, 0);
    const usage = {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    };
    return c.json({ ...head, choices, usage });
  } finally {
    leave();
    loan.release();
  }
}

/** @throws ApiError 400 */
function promptIds(prompt: string | number[], tokenizer: Tokenizer, maxTokens: number): Int32Array {
  const ids = typeof prompt === 'string' ? tokenizer.encode(prompt, { specials: true }) : Int32Array.from(prompt);
  const unknown = ids.find((id) => id >= tokenizer.vocabSize);
  if (unknown !== undefined)
    throw bad('prompt', 'invalid_value', `Token ${unknown} does not exist: this model has ${tokenizer.vocabSize}.`);
  if (ids.length === 0) throw bad('prompt', 'invalid_value', 'A prompt has at least one token.');
  if (ids.length <= maxTokens) return ids;
  const most = `A prompt of ${ids.length} tokens is too long; at most ${maxTokens} are read here.`;
  throw bad('prompt', 'context_length_exceeded', most);
}

/** The first prompt replays with the seed alone, the others with the seed and their number. Without a seed: a random one. */
function promptSeeds(request: CompletionRequest): (string | number)[] {
  const seed = request.seed ?? randomInt(2 ** 47);
  return request.prompts.map((_, index) => (index === 0 ? seed : `${seed}/${index}`));
}
