/** @file Generation and scores of a model with softmax layers, whose caches grow with every token. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '@quasar/base';
import {
  disposeParameters,
  forward,
  initialParameters,
  type ModelConfig,
  saveCheckpoint,
  vocabularyLogits,
} from '@quasar/model';
import { openDevice, scope } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { Engine } from './engine.ts';
import { GROWING } from './testing/growing-models.ts';
import { randomPrompt, TOKENIZER } from './testing/tiny-engine.ts';
import { makeTraces } from './traces.ts';

const device = openDevice('auto');

/** The most likely token after each prompt, by reading the whole text again for every token. */
async function greedy({ config, parameters }: Engine, prompt: Int32Array, count: number): Promise<number[]> {
  const tokens = [...prompt];
  for (let n = 0; n < count; n++) {
    const T = tokens.length;
    const logits = scope(() => {
      const { hidden } = forward(config, parameters, { tokens: Int32Array.from(tokens), B: 1, T });
      return vocabularyLogits(parameters, hidden, Int32Array.of(T - 1));
    });
    const values = await logits.read();
    tokens.push(values.indexOf(Math.max(...values)));
    logits.dispose();
  }
  return tokens.slice(prompt.length);
}

describe.each<[string, ModelConfig]>([
  ['qwen3_5', GROWING.qwen3_5],
  ['quasar_long', GROWING.quasar_long],
])('an engine of a %s model', (_, config) => {
  const engine = new Engine(config, initialParameters(config, device, new Rng('growing')), TOKENIZER, device);
  const prompts = [5, 1, 40, 17].map((length) => randomPrompt(length, `prompt ${length}`));
  const options = { maxNewTokens: 8, temperature: 0, stopTokens: [] };

  it('prompts of different lengths in one batch go on as each alone, read again for every token', async () => {
    const found = await engine.generate(prompts, options);
    for (const [i, prompt] of prompts.entries())
      expect([...(found[i]?.tokens ?? [])]).toEqual(await greedy(engine, prompt, 8));
  });

  it('rows that finish leave the others as they are, and a stream gives the same tokens', async () => {
    const free = await engine.generate(prompts, options);
    const stop = free[2]?.tokens[3] as number;
    const stopped = await engine.generate(prompts, { ...options, stopTokens: [stop] });
    for (const [i, { tokens }] of stopped.entries()) {
      const all = [...(free[i]?.tokens ?? [])];
      const until = all.indexOf(stop);
      expect([...tokens]).toEqual(until < 0 ? all : all.slice(0, until));
    }
    const streamed: number[] = [];
    for await (const { token } of engine.stream(prompts[2] as Int32Array, options)) streamed.push(token);
    expect(streamed).toEqual([...(free[2]?.tokens ?? [])]);
  });

  it('generation frees what it made', async () => {
    const used = () => device.memory?.().usedBytes ?? 0;
    await engine.generate(prompts, options);
    const before = used();
    await engine.generate(prompts, options);
    expect(used()).toBe(before);
  });

  it('the log-probabilities of generated tokens are those of scoring the text', async () => {
    const [prompt] = prompts as [Int32Array];
    const [completion] = await engine.generate([prompt], options);
    const text = Int32Array.from([...prompt, ...(completion?.tokens ?? [])]);
    const scored = (await engine.logprobs(text)).subarray(prompt.length - 1);
    completion?.logprobs.forEach((logprob, i) => {
      expect(scored[i]).toBeCloseTo(logprob, 4);
    });
  });

  it('what was written to a folder and loaded again scores its own words as certain as it was', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'growing-'));
    const parameters = initialParameters(config, device, new Rng('growing'));
    await saveCheckpoint(directory, { config, parameters, tokenizer: TOKENIZER }, 'F32');
    disposeParameters(parameters);
    const loaded = await Engine.load(directory);
    rmSync(directory, { recursive: true });
    const sampling = { continuationTokens: 6, topK: 8, temperature: 1, topP: 1, seed: 'traces' };
    const traces = await makeTraces(engine, prompts, sampling);
    for (const scores of await loaded.scoreTopK(traces))
      for (const score of scores) expect(Math.abs(score)).toBeLessThan(1e-4);
    loaded.dispose();
  });
});
