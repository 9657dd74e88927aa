import { expect, it } from 'vitest';
import { ApiError } from './api-error.ts';
import { CHAT_LIMITS, parseChatRequest } from './chat-request.ts';

const minimal = { model: 'king', messages: [{ role: 'user', content: 'hi' }] };
const parse = (change: object) => parseChatRequest({ ...minimal, ...change }, CHAT_LIMITS);

function refusal(json: unknown): { param: string | null; code: string; status: number } {
  try {
    parseChatRequest(json, CHAT_LIMITS);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { param, code } = error.body().error;
    return { param, code, status: error.status };
  }
  throw new Error('was accepted');
}

it('fills in what OpenAI fills in', () => {
  expect(parse({})).toEqual({
    model: 'king',
    messages: [{ role: 'user', content: 'hi' }],
    maxNewTokens: CHAT_LIMITS.defaultNewTokens,
    temperature: 1,
    topP: 1,
    topK: null,
    seed: null,
    n: 1,
    stop: [],
    stream: false,
    includeUsage: false,
    topLogprobs: null,
  });
});

it('reads text parts, the developer role and an assistant without content', () => {
  const messages = [
    { role: 'developer', content: 'be brief' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ],
    },
    { role: 'assistant', content: null },
  ];
  expect(parse({ messages }).messages).toEqual([
    { role: 'system', content: 'be brief' },
    { role: 'user', content: 'ab' },
    { role: 'assistant', content: '' },
  ]);
});

it('prefers max_completion_tokens and reads one stop string as a list', () => {
  expect(parse({ max_tokens: 9, max_completion_tokens: 7, stop: '\n' })).toMatchObject({
    maxNewTokens: 7,
    stop: ['\n'],
  });
});

it('ignores fields that do not change the answer', () => {
  expect(
    parse({ user: 'me', metadata: {}, tools: [], response_format: { type: 'text' }, presence_penalty: 0 }),
  ).toEqual(parse({}));
});

it.each([
  [{}, 'model', 'missing_required_parameter'],
  [[], null, 'invalid_value'],
  ['text', null, 'invalid_value'],
  [null, null, 'invalid_value'],
  [{ model: 'king' }, 'messages', 'missing_required_parameter'],
  [{ ...minimal, messages: [] }, 'messages', 'invalid_value'],
  [{ ...minimal, messages: [{ role: 'pirate', content: 'x' }] }, 'messages[0].role', 'invalid_value'],
  [
    { ...minimal, messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
    'messages[0].content',
    'invalid_value',
  ],
  [{ ...minimal, messages: Array(300).fill(minimal.messages[0]) }, 'messages', 'too_many_messages'],
  [{ ...minimal, temperature: 3 }, 'temperature', 'invalid_value'],
  [{ ...minimal, temperature: '1' }, 'temperature', 'invalid_value'],
  [{ ...minimal, top_p: 0 }, 'top_p', 'invalid_value'],
  [{ ...minimal, n: 5 }, 'n', 'invalid_value'],
  [{ ...minimal, n: 1.5 }, 'n', 'invalid_value'],
  [{ ...minimal, max_tokens: 0 }, 'max_tokens', 'invalid_value'],
  [{ ...minimal, max_tokens: 1e9 }, 'max_tokens', 'integer_above_max_value'],
  [{ ...minimal, max_completion_tokens: 1e9 }, 'max_completion_tokens', 'integer_above_max_value'],
  [{ ...minimal, stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop', 'invalid_value'],
  [{ ...minimal, stop: '' }, 'stop', 'invalid_value'],
  [{ ...minimal, top_logprobs: 2 }, 'top_logprobs', 'invalid_value'],
  [{ ...minimal, logprobs: true, top_logprobs: 21 }, 'top_logprobs', 'invalid_value'],
  [{ ...minimal, stream_options: { include_usage: true } }, 'stream_options', 'invalid_value'],
  [{ ...minimal, tools: [{ type: 'function' }] }, 'tools', 'unsupported_parameter'],
  [{ ...minimal, response_format: { type: 'json_object' } }, 'response_format', 'unsupported_parameter'],
  [{ ...minimal, response_format: 'json' }, 'response_format', 'unsupported_parameter'],
  [{ ...minimal, logit_bias: { 5: 1 } }, 'logit_bias', 'unsupported_parameter'],
  [{ ...minimal, frequency_penalty: 1 }, 'frequency_penalty', 'unsupported_parameter'],
])('refuses %j at %s with %s', (json, param, code) => {
  expect(refusal(json)).toEqual({ param, code, status: 400 });
});
