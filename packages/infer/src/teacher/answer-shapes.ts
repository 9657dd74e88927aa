/**
 * @file The shapes in which servers report log-probabilities, brought to one.
 *
 * - `/v1/completions` of OpenAI and vLLM: `logprobs: {tokens, token_logprobs, top_logprobs}`, one object of text to number
 *   per position; with `return_tokens_as_token_ids` vLLM writes `token_id:123` for the text;
 * - `/v1/chat/completions`: `logprobs: {content: [{token, bytes, logprob, top_logprobs: [...]}]}`; llama.cpp has this shape in
 *   both, with an `id` beside the text;
 * - `/completion` of llama.cpp: `completion_probabilities`, entries as in chat.
 */
import { badAnswer } from './json-client.ts';
import type { Entry } from './view-rows.ts';
import type { TokenLookup } from './vocabulary.ts';

/** One position of an answer. */
export interface Step {
  /** The token that stands here. */
  id: number | null;
  /** For messages. */
  text: string;
  /** What the server thought here; null for the first token of an echoed prompt. */
  entries: Entry[] | null;
}

export interface ReadAnswer {
  /** Null: the answer has no log-probabilities. */
  steps: Step[] | null;
  finishReason: string;
  /** Tokens of the prompt as the server counts them. */
  promptTokens: number | null;
}

const MAX_ENTRIES = 4096;
/** A log-probability may be rounded up. */
const MAX_LOGPROB = 1e-3;

/**
 * @param body of a 2xx answer with one choice
 * @param maxSteps more positions than were asked for are refused
 * @throws QuasarError infer.teacher_answer
 */
export function readAnswer(body: unknown, lookup: TokenLookup, maxSteps: number): ReadAnswer {
  const answer = asObject(body, 'the answer');
  const usage = answer.usage == null ? {} : asObject(answer.usage, 'usage');
  const promptTokens = typeof usage.prompt_tokens === 'number' ? usage.prompt_tokens : null;
  const choices = Array.isArray(answer.choices) ? answer.choices : [answer];
  if (choices.length !== 1) throw badAnswer(`${choices.length} choices, expected 1`);
  const choice = asObject(choices[0], 'the choice');
  const finishReason = typeof choice.finish_reason === 'string' ? choice.finish_reason : 'unknown';
  const steps = readSteps(choice.logprobs ?? choice.completion_probabilities ?? null, lookup);
  if (steps && steps.length > maxSteps)
    throw badAnswer(`${steps.length} positions, at most ${maxSteps} were asked for`);
  return { steps, finishReason, promptTokens };
}

function readSteps(logprobs: unknown, lookup: TokenLookup): Step[] | null {
  if (logprobs === null) return null;
  if (Array.isArray(logprobs)) return logprobs.map((item) => chatStep(item, lookup));
  const given = asObject(logprobs, 'logprobs');
  if (Array.isArray(given.content)) return given.content.map((item) => chatStep(item, lookup));
  if (!Array.isArray(given.tokens)) return null;
  const { tokens, token_logprobs: chosen, top_logprobs: tops } = given;
  if (
    !Array.isArray(chosen) ||
    !Array.isArray(tops) ||
    chosen.length !== tokens.length ||
    tops.length !== tokens.length
  ) {
    const [n, m] = [chosen, tops].map((list) => (Array.isArray(list) ? list.length : 'no'));
    throw badAnswer(`${tokens.length} tokens with ${n} log-probabilities and ${m} views`);
  }
  return tokens.map((token, i) => {
    const text = asText(token);
    const view = tops[i] === null ? null : Object.entries(asObject(tops[i], 'top_logprobs'));
    if (view && view.length > MAX_ENTRIES) throw badAnswer(`a view of ${view.length} entries`);
    const entries = view?.flatMap(([each, logprob]) => entry(lookup.ofText(each), logprob)) ?? null;
    return { id: lookup.ofText(text), text, entries };
  });
}

function chatStep(item: unknown, lookup: TokenLookup): Step {
  const step = asObject(item, 'a position');
  const tops = step.top_logprobs ?? [];
  if (!Array.isArray(tops)) throw badAnswer('top_logprobs is no list');
  if (tops.length > MAX_ENTRIES) throw badAnswer(`a view of ${tops.length} entries`);
  const entries = tops.flatMap((each) => {
    const token = asObject(each, 'an entry of top_logprobs');
    return entry(idOf(token, lookup), token.logprob);
  });
  return { id: idOf(step, lookup), text: asText(step.token), entries };
}

/** By id where there is one, else by bytes, else by text. */
function idOf(token: Record<string, unknown>, lookup: TokenLookup): number | null {
  if (typeof token.id === 'number') return lookup.ofId(token.id);
  const text = asText(token.token);
  if (text.startsWith('token_id:')) return lookup.ofText(text);
  const { bytes } = token;
  // A special token has a text, and of some servers no bytes.
  if (Array.isArray(bytes) && bytes.length > 0 && bytes.length <= 1024) {
    if (bytes.some((byte) => !Number.isInteger(byte) || byte < 0 || byte > 255)) throw badAnswer('bytes that are none');
    return lookup.ofBytes(bytes);
  }
  return lookup.ofText(text);
}

/** Nothing for a token that is impossible: JSON has no minus infinity, and servers write null or -9999. */
function entry(id: number | null, logprob: unknown): Entry[] {
  if (logprob === null) return [];
  if (typeof logprob !== 'number' || !(logprob <= MAX_LOGPROB))
    throw badAnswer(`a log-probability ${JSON.stringify(logprob)?.slice(0, 40)}`);
  return logprob <= -9999 ? [] : [{ id, logprob: Math.min(0, logprob) }];
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw badAnswer(`${what} is no object`);
}

function asText(value: unknown): string {
  if (typeof value === 'string') return value;
  throw badAnswer('a token that is no text');
}
