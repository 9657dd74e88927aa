/** @file The king answers: with curl, and with the real `openai` client, streaming. */
import OpenAI from 'openai';
import { beforeAll, expect, inject, it } from 'vitest';
import { dashboard, type Net, netWithKing } from './support/net.ts';
import { run } from './support/run.ts';

let net: Net;
beforeAll(async () => {
  net = await netWithKing(inject('sharedHome'));
}, 900_000);

const QUESTION = [{ role: 'user' as const, content: 'What is 2 + 3?' }];

it('curl gets a completion', async () => {
  const { code, stdout, stderr } = await run('curl', [
    '--silent',
    '--show-error',
    '--fail',
    `${net.url}/v1/chat/completions`,
    '--header',
    'content-type: application/json',
    '--data',
    JSON.stringify({ model: 'king', messages: QUESTION, max_tokens: 24, temperature: 0 }),
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const answer = JSON.parse(stdout);
  expect(answer).toMatchObject({
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant' }, finish_reason: expect.stringMatching(/^(stop|length)$/) }],
  });
  expect(answer.choices[0].message.content).toMatch(/\S/);
  expect(answer.usage.total_tokens).toBe(answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

it('the openai client streams the same answer that it gets whole', async () => {
  const client = new OpenAI({ baseURL: `${net.url}/v1`, apiKey: 'unused' });
  const request = { model: 'king', messages: QUESTION, max_tokens: 24, temperature: 0 };
  const whole = await client.chat.completions.create(request);
  let text = '';
  let chunks = 0;
  const reasons: (string | null)[] = [];
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
    const [choice] = chunk.choices;
    text += choice?.delta.content ?? '';
    chunks++;
    if (choice?.finish_reason) reasons.push(choice.finish_reason);
  }
  expect(text).toBe(whole.choices[0]?.message.content);
  expect(chunks).toBeGreaterThan(2);
  expect(reasons).toEqual([whole.choices[0]?.finish_reason]);
});

it('the list of models names the revision that reigns', async () => {
  const client = new OpenAI({ baseURL: `${net.url}/v1`, apiKey: 'unused' });
  const ids = (await client.models.list()).data.map((model) => model.id);
  const { king } = await dashboard(net);
  expect(ids).toContain('king');
  expect(ids).toContain(`king@${king?.king_revision}`);
});
