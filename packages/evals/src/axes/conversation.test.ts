import { Rng } from '@quasar/base';
import { type Completion, Engine } from '@quasar/infer';
import { encodeChat, initialParameters, SIZES, trainBpe } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { afterAll, expect, it } from 'vitest';
import { type AxisItem, axisItems } from '../prompts.ts';
import { itemPrompts, judgeReplies, type Reply, replyTo } from './answers.ts';
import { conversationMeasures, conversationReference, conversationTexts, textLogprobs } from './conversation.ts';

const tokenizer = trainBpe(['what is the answer'], { vocabSize: 270 });
const device = openDevice('auto');
const config = {
  ...{ ...SIZES.nano, vocab_size: tokenizer.vocabSize, d_model: 32, n_layers: 2, n_heads: 2, head_dim: 16, d_ff: 48 },
  ...{ expand_k: 1, quasar_layers: 1, gated_layers: 1, dense_input_layers: 1, num_routed_experts: 4 },
  ...{ shared_expert_size: 24, routed_expert_size: 16 },
};
const engine = new Engine(config, initialParameters(config, device, new Rng('tiny')), tokenizer, device);
afterAll(() => engine.dispose());

const asks = (name: AxisItem['axis'], items: number) => ({
  ...{ name, items, maxNewTokens: name === 'math_bench' ? 3 : 5, targetTokens: null },
  rungs: [0, 1] as [number, number],
});
const items = axisItems('0xabc', [asks('judge_probe', 10), asks('math_bench', 9)], { changes: [], wordings: 1 });
const prompts = itemPrompts(tokenizer, items);

it('asks each prompt up to its own limit, whatever shares its batch', async () => {
  const maxNewTokens = items.map((item) => item.maxNewTokens);
  const replies = await replyTo(engine, prompts, { maxNewTokens });
  const alone = await replyTo(engine, prompts.slice(10), { maxNewTokens: 3 });
  expect(replies.map(({ tokens, finished }) => finished || tokens.length)).toEqual(
    replies.map(({ finished }, i) => finished || maxNewTokens[i]),
  );
  expect(replies.slice(10, 16).map(({ tokens }) => [...tokens])).toEqual(
    alone.slice(0, 6).map(({ tokens }) => [...tokens]),
  );
});

it('measures ln p of replies and of the end of the turn, on conversation axes only', async () => {
  const completions: Completion[] = await engine.generate(prompts, { maxNewTokens: 5, seed: 1 });
  const replies: Reply[] = completions.map(({ tokens }, i) => ({ tokens, finished: i % 2 === 0 }));
  const texts = conversationTexts(tokenizer, items, prompts, replies);
  expect(texts.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const logprobs = await textLogprobs(
    engine,
    texts.map(({ text }) => text),
  );
  for (const i of [0, 1, 9]) {
    const said = [...replies[i]!.tokens, ...(i % 2 === 0 ? [tokenizer.specials.end] : [])];
    const all = await engine.logprobs(Int32Array.from([...prompts[i]!, ...said]));
    const own = [...all].slice(prompts[i]!.length - 1);
    expect(logprobs[i]).toBeCloseTo(own.reduce((sum, x) => sum + x, 0) / own.length, 4);
  }
  const silent = replies.map(() => ({ tokens: new Int32Array(), finished: false }));
  expect(conversationTexts(tokenizer, items, prompts, silent)).toEqual([]);

  const measured = conversationMeasures(items.length, texts, logprobs);
  expect(measured[10]).toBe(null);
  const reference = conversationReference(judgeReplies(tokenizer, items, replies, measured));
  expect(Object.keys(reference)).toHaveLength(10);
  expect(reference['judge_probe/9']).toBe(logprobs[9]);
});

it('prompts end where the reply begins', () => {
  expect(prompts[0]).toEqual(encodeChat(tokenizer, items[0]!.item.messages, { addGenerationPrompt: true }));
});
