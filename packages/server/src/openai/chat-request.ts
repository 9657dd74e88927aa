/**
 * @file `POST /v1/chat/completions`: the request body, checked and brought to our own terms.
 *
 * Source: OpenAI API reference, "Create chat completion". Fields that would change the answer and that we do not
 * have (tools, JSON modes, penalties, images) are refused by name; harmless ones (`user`, `metadata`) are ignored.
 */
import type { ChatMessage } from '@quasar/model';
import { z } from 'zod';
import { ApiError } from './api-error.ts';

export interface ChatLimits {
  maxMessages: number;
  maxPromptTokens: number;
  maxNewTokens: number;
  defaultNewTokens: number;
}

export const CHAT_LIMITS: ChatLimits = {
  maxMessages: 256,
  maxPromptTokens: 32_768,
  maxNewTokens: 4096,
  defaultNewTokens: 512,
};

export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  maxNewTokens: number;
  temperature: number;
  topP: number;
  topK: number | null;
  seed: number | null;
  /** Number of answers. */
  n: number;
  stop: string[];
  stream: boolean;
  includeUsage: boolean;
  /** null: no log-probabilities; otherwise how many alternatives per token. */
  topLogprobs: number | null;
}

const MAX_CHOICES = 4;
const textPart = z.object({ type: z.literal('text', 'only text parts are supported'), text: z.string() });
const content = z.union([z.string(), z.array(textPart).min(1)], 'must be a string or a list of text parts');

const message = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: content.nullish(),
});

const body = z.object({
  model: z.string().min(1),
  messages: z.array(message).min(1),
  max_tokens: z.number().int().min(1).nullish(),
  max_completion_tokens: z.number().int().min(1).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.number().int().min(1).nullish(),
  seed: z.number().int().nullish(),
  n: z.number().int().min(1).max(MAX_CHOICES).nullish(),
  stop: z.union([z.string().min(1).max(256), z.array(z.string().min(1).max(256)).max(4)]).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
});

/** Given a value other than these, the answer would not be what was asked for. */
const UNSUPPORTED: Record<string, (value: unknown) => boolean> = {
  tools: (value) => Array.isArray(value) && value.length === 0,
  tool_choice: (value) => value === 'none' || value === 'auto',
  functions: (value) => Array.isArray(value) && value.length === 0,
  function_call: (value) => value === 'none' || value === 'auto',
  response_format: (value) => (value as { type?: unknown }).type === 'text',
  frequency_penalty: (value) => value === 0,
  presence_penalty: (value) => value === 0,
  logit_bias: (value) => Object.keys(value as object).length === 0,
  modalities: (value) => Array.isArray(value) && value.length === 1 && value[0] === 'text',
  audio: () => false,
  web_search_options: () => false,
};

/**
 * @param json the parsed body
 * @throws ApiError 400 with `param` set to the field at fault
 */
export function parseChatRequest(json: unknown, limits: ChatLimits): ChatRequest {
  const parsed = body.safeParse(json);
  if (!parsed.success) throw invalid(parsed.error);
  refuseUnsupported(json as Record<string, unknown>, UNSUPPORTED);
  const given = parsed.data;
  if (given.messages.length > limits.maxMessages)
    throw bad('messages', 'too_many_messages', `At most ${limits.maxMessages} messages, got ${given.messages.length}.`);
  if (given.top_logprobs != null && given.logprobs !== true)
    throw bad('top_logprobs', 'invalid_value', '`top_logprobs` needs `logprobs: true`.');
  if (given.stream_options != null && given.stream !== true)
    throw bad('stream_options', 'invalid_value', '`stream_options` needs `stream: true`.');
  const asked = given.max_completion_tokens ?? given.max_tokens;
  if (asked != null && asked > limits.maxNewTokens) {
    const field = given.max_completion_tokens == null ? 'max_tokens' : 'max_completion_tokens';
    throw bad(field, 'integer_above_max_value', `\`${field}\` is at most ${limits.maxNewTokens} here, got ${asked}.`);
  }
  return {
    model: given.model,
    messages: given.messages.map((one) => ({
      role: one.role === 'developer' ? 'system' : one.role,
      content: typeof one.content === 'string' ? one.content : (one.content ?? []).map((part) => part.text).join(''),
    })),
    maxNewTokens: asked ?? Math.min(limits.defaultNewTokens, limits.maxNewTokens),
    temperature: given.temperature ?? 1,
    topP: given.top_p ?? 1,
    topK: given.top_k ?? null,
    seed: given.seed ?? null,
    n: given.n ?? 1,
    stop: given.stop == null ? [] : [given.stop].flat(),
    stream: given.stream ?? false,
    includeUsage: given.stream_options?.include_usage ?? false,
    topLogprobs: given.logprobs ? (given.top_logprobs ?? 0) : null,
  };
}

export function bad(param: string | null, code: string, text: string): ApiError {
  return new ApiError(400, { code, type: 'invalid_request_error', param, message: text });
}

/** @param harmless per field that we lack, whether a value changes nothing. @throws ApiError 400 */
export function refuseUnsupported(
  json: Record<string, unknown>,
  harmless: Record<string, (value: unknown) => boolean>,
): void {
  for (const [field, isHarmless] of Object.entries(harmless)) {
    const value = json[field];
    if (value == null || isHarmless(value)) continue;
    throw bad(field, 'unsupported_parameter', `\`${field}\` is not supported by this server; leave it out.`);
  }
}

export function invalid(error: z.ZodError): ApiError {
  const [issue] = error.issues;
  const param = issue?.path.map((part, i) =>
    typeof part === 'number' ? `[${part}]` : `${i ? '.' : ''}${String(part)}`,
  );
  const name = param?.join('') || null;
  const isMissing = issue?.code === 'invalid_type' && issue.message.endsWith('received undefined');
  if (isMissing && name) return bad(name, 'missing_required_parameter', `Missing required parameter: '${name}'.`);
  return bad(name, 'invalid_value', `Invalid ${name ? `'${name}'` : 'body'}: ${issue?.message ?? 'not accepted'}.`);
}
