/**
 * @file `POST /v1/completions`: the request body, checked and brought to our own terms.
 *
 * Source: OpenAI API reference, "Create completion", and the fields that vLLM adds: `return_tokens_as_token_ids`,
 * `ignore_eos`, `include_stop_str_in_output` (here of the token that ends a turn). A prompt is raw: special tokens in its
 * text count as such. Left out: streaming, several answers to a prompt, penalties.
 */
import { z } from 'zod';
import { bad, type ChatLimits, invalid, refuseUnsupported } from './chat-request.ts';

export interface CompletionRequest {
  model: string;
  prompts: (string | number[])[];
  maxNewTokens: number;
  temperature: number;
  topP: number;
  topK: number | null;
  seed: number | null;
  stop: string[];
  /** Null: no log-probabilities; otherwise how many alternatives per token. */
  topLogprobs: number | null;
  /** The answer begins with the prompt. */
  echo: boolean;
  /** Tokens are named `token_id:123`, so that none is ambiguous. */
  namesIds: boolean;
  ignoreEnd: boolean;
  includeEnd: boolean;
}

const MAX_PROMPTS = 16;
/** What teachers of distillation are asked for is 64 to 256. */
const MAX_TOP_LOGPROBS = 256;
const DEFAULT_NEW_TOKENS = 16;

const token = z.number().int().min(0);
const body = z.object({
  model: z.string().min(1),
  prompt: z.union(
    [
      z.string(),
      z.array(token).min(1),
      z.array(z.string()).min(1).max(MAX_PROMPTS),
      z.array(z.array(token).min(1)).min(1).max(MAX_PROMPTS),
    ],
    `must be a text or a list of token ids, or a list of up to ${MAX_PROMPTS} of either`,
  ),
  max_tokens: z.number().int().min(0).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.number().int().min(1).nullish(),
  seed: z.number().int().nullish(),
  n: z.literal(1).nullish(),
  best_of: z.literal(1).nullish(),
  stop: z.union([z.string().min(1).max(256), z.array(z.string().min(1).max(256)).max(4)]).nullish(),
  logprobs: z.number().int().min(0).max(MAX_TOP_LOGPROBS).nullish(),
  echo: z.boolean().nullish(),
  return_tokens_as_token_ids: z.boolean().nullish(),
  ignore_eos: z.boolean().nullish(),
  include_stop_str_in_output: z.boolean().nullish(),
});

/** Given a value other than these, the answer would not be what was asked for. */
const UNSUPPORTED: Record<string, (value: unknown) => boolean> = {
  stream: (value) => value === false,
  suffix: (value) => value === '',
  frequency_penalty: (value) => value === 0,
  presence_penalty: (value) => value === 0,
  logit_bias: (value) => Object.keys(value as object).length === 0,
};

/**
 * @param json the parsed body
 * @throws ApiError 400 with `param` set to the field at fault
 */
export function parseCompletionRequest(json: unknown, limits: ChatLimits): CompletionRequest {
  const parsed = body.safeParse(json);
  if (!parsed.success) throw invalid(parsed.error);
  refuseUnsupported(json as Record<string, unknown>, UNSUPPORTED);
  const given = parsed.data;
  const maxNewTokens = given.max_tokens ?? DEFAULT_NEW_TOKENS;
  if (maxNewTokens > limits.maxNewTokens) {
    const most = `\`max_tokens\` is at most ${limits.maxNewTokens} here, got ${maxNewTokens}.`;
    throw bad('max_tokens', 'integer_above_max_value', most);
  }
  return {
    model: given.model,
    prompts: promptsOf(given.prompt),
    maxNewTokens,
    temperature: given.temperature ?? 1,
    topP: given.top_p ?? 1,
    topK: given.top_k ?? null,
    seed: given.seed ?? null,
    stop: given.stop == null ? [] : [given.stop].flat(),
    topLogprobs: given.logprobs ?? null,
    echo: given.echo ?? false,
    namesIds: given.return_tokens_as_token_ids ?? false,
    ignoreEnd: given.ignore_eos ?? false,
    includeEnd: given.include_stop_str_in_output ?? false,
  };
}

function promptsOf(prompt: string | number[] | string[] | number[][]): (string | number[])[] {
  return typeof prompt === 'string' || typeof prompt[0] === 'number'
    ? [prompt as string | number[]]
    : (prompt as string[]);
}
