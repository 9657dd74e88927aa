/** @file The engine: batches equal single prompts, streams equal batches, stops, limits, cancellation, memory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forward, saveCheckpoint, vocabularyLogits } from '@quasar/model';
import { nativeAvailable, openDevice, referenceDevice, scope, type Tensor, topK } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { BLOCK_TOKENS } from './batches.ts';
import { Engine } from './engine.ts';
import { randomPrompt, TINY, TOKENIZER, tinyEngine } from './testing/tiny-engine.ts';
import type { Completion, GenerateOptions, StreamedToken } from './types.ts';

const engine = await tinyEngine();
const prompts = [5, 33, 1, 17].map((length) => randomPrompt(length, `prompt ${length}`));
const first = prompts[0] as Int32Array;
/** Nothing stops the generation but its length. */
const FREE: GenerateOptions = { maxNewTokens: 12, stopTokens: [] };

const one = async (prompt: Int32Array, options: GenerateOptions) =>
  (await engine.generate([prompt], options))[0] as Completion;

async function drain(stream: AsyncGenerator<StreamedToken, 'stop' | 'length'>) {
  const tokens: StreamedToken[] = [];
  for (;;) {
    const { done, value } = await stream.next();
    if (done) return { tokens, reason: value };
    tokens.push(value);
  }
}

function expectClose(a: ArrayLike<number>, b: ArrayLike<number>): void {
  expect(a.length).toBe(b.length);
  for (let i = 0; i < a.length; i++) expect(Math.abs((a[i] as number) - (b[i] as number))).toBeLessThan(1e-4);
}

describe('generate', () => {
  it('a ragged batch gives what each prompt gives alone', async () => {
    const options = { ...FREE, temperature: 0, topLogprobs: 5 };
    const batch = await engine.generate(prompts, options);
    for (const [i, prompt] of prompts.entries()) {
      const alone = await one(prompt, options);
      expect(batch[i]?.tokens).toEqual(alone.tokens);
      expectClose(batch[i]?.logprobs ?? [], alone.logprobs);
      expect(batch[i]?.top?.ids).toEqual(alone.top?.ids);
      expectClose(batch[i]?.top?.logprobs ?? [], alone.top?.logprobs ?? []);
    }
    expect(new Set(batch.map(({ tokens }) => tokens.join())).size).toBe(prompts.length);
  });

  it('is the continuation that the whole text predicts', async () => {
    const { tokens, logprobs } = await one(first, { ...FREE, temperature: 0 });
    for (let n = 1; n < 4; n++) {
      const longer = Int32Array.of(...first, ...tokens.subarray(0, n));
      const rest = await one(longer, { ...FREE, maxNewTokens: 12 - n, temperature: 0 });
      expect(rest.tokens).toEqual(tokens.subarray(n));
      expectClose(rest.logprobs, logprobs.subarray(n));
    }
  });

  it('equal seeds replay, other seeds differ, a row draws the same whatever its neighbours', async () => {
    const run = (of: Int32Array[], seed: string) => engine.generate(of, { ...FREE, seed });
    const batch = await run(prompts, 'a');
    expect(await run(prompts, 'a')).toEqual(batch);
    expect((await run(prompts, 'b')).map((c) => c.tokens)).not.toEqual(batch.map((c) => c.tokens));
    const [, second] = await run([randomPrompt(9, 'other'), prompts[1] as Int32Array], 'a');
    expect(second?.tokens).toEqual(batch[1]?.tokens);
  });

  it('views of the choices: best first, and together they are everything', async () => {
    const { tokens, logprobs, top } = await one(first, { ...FREE, temperature: 0, topLogprobs: 8 });
    if (!top) throw new Error('no views');
    expect([top.k, top.ids.length, top.logprobs.length, top.tail.length]).toEqual([8, 96, 96, 12]);
    for (let n = 0; n < tokens.length; n++) {
      const [ids, values] = [top.ids.subarray(n * 8, n * 8 + 8), top.logprobs.subarray(n * 8, n * 8 + 8)];
      expect(ids[0]).toBe(tokens[n]);
      expect(values[0]).toBeCloseTo(logprobs[n] as number, 5);
      expect([...values]).toEqual([...values].sort((a, b) => b - a));
      const mass = values.reduce((sum, x) => sum + Math.exp(x), 0);
      expect(mass + (top.tail[n] as number)).toBeCloseTo(1, 5);
    }
    const all = await one(first, { ...FREE, maxNewTokens: 1, topLogprobs: 10_000 });
    expect(all.top?.k).toBe(TINY.vocab_size);
    expect([...(all.top?.tail ?? [])]).toEqual([0]);
  });

  it('ends before a stop token; the other rows go on as if nothing had happened', async () => {
    const free = await engine.generate(prompts, { ...FREE, temperature: 0 });
    const stop = free[1]?.tokens[3] as number;
    const stopped = await engine.generate(prompts, { ...FREE, temperature: 0, stopTokens: [stop] });
    let stops = 0;
    for (const [i, { tokens, logprobs, finishReason }] of stopped.entries()) {
      const whole = free[i]?.tokens as Int32Array;
      const end = whole.indexOf(stop);
      expect(tokens).toEqual(end < 0 ? whole : whole.subarray(0, end));
      expect(logprobs.length).toBe(tokens.length);
      expect(finishReason).toBe(end < 0 ? 'length' : 'stop');
      if (end >= 0) stops++;
    }
    expect(stops).toBeGreaterThan(0);
    expect(stops).toBeLessThan(prompts.length);
  });

  it('stops at the end of a turn by default', async () => {
    const { tokens } = await one(first, { ...FREE, temperature: 0, maxNewTokens: 1 });
    const biased = await tinyEngine();
    const head = biased.parameters.get('lm_head.weight') as Tensor;
    const rows = Float64Array.from(await head.read());
    const D = TINY.d_model;
    // <|end|> points where the greedy choice points, and further.
    for (let d = 0; d < D; d++)
      rows[TOKENIZER.specials.end * D + d] = 1.5 * (rows[(tokens[0] as number) * D + d] as number);
    head.write(rows);
    const [stopped] = await biased.generate([first], { maxNewTokens: 5, temperature: 0 });
    expect(stopped).toEqual({ tokens: new Int32Array(0), logprobs: new Float64Array(0), finishReason: 'stop' });
  });

  it('nothing to do', async () => {
    expect(await engine.generate([], FREE)).toEqual([]);
    for (const maxNewTokens of [0, -1, Number.NaN]) {
      const [done] = await engine.generate([first], { maxNewTokens, topLogprobs: 2 });
      expect(done).toMatchObject({ tokens: new Int32Array(0), finishReason: 'length', top: { k: 2 } });
      expect(await drain(engine.stream(first, { maxNewTokens }))).toEqual({ tokens: [], reason: 'length' });
    }
  });

  it('refuses empty prompts and foreign tokens', async () => {
    const refused = (prompt: Int32Array) => engine.generate([first, prompt], FREE);
    await expect(refused(new Int32Array(0))).rejects.toMatchObject({ code: 'infer.empty_prompt' });
    await expect(refused(Int32Array.of(TINY.vocab_size))).rejects.toMatchObject({ code: 'model.token_out_of_range' });
    await expect(engine.stream(new Int32Array(0), FREE).next()).rejects.toMatchObject({ code: 'infer.empty_prompt' });
  });

  it.skipIf(!nativeAvailable())('a prompt of more than one block', async () => {
    const prompt = randomPrompt(BLOCK_TOKENS + 5, 'long');
    const options = { ...FREE, maxNewTokens: 1, topLogprobs: TINY.vocab_size };
    const { top } = await one(prompt, options);
    const whole = scope(() => {
      const { hidden } = forward(TINY, engine.parameters, { tokens: prompt, B: 1, T: prompt.length });
      return topK(vocabularyLogits(engine.parameters, hidden, Int32Array.of(prompt.length - 1)), TINY.vocab_size);
    });
    expect(top?.ids.subarray(0, 50)).toEqual((await whole.ids.read()).subarray(0, 50));
    expectClose(top?.logprobs ?? [], await whole.logprobs.read());
    const lastBlock = await one(prompt.slice(BLOCK_TOKENS), options);
    expect(lastBlock.top?.ids).not.toEqual(top?.ids);
  });
});

describe('stream', () => {
  it('gives the tokens of generate for the same seed', async () => {
    for (const options of [FREE, { ...FREE, temperature: 0 }, { ...FREE, topP: 0.8, seed: 's', topLogprobs: 3 }]) {
      const whole = await one(first, options);
      const { tokens, reason } = await drain(engine.stream(first, options));
      expect(tokens.map(({ token }) => token)).toEqual([...whole.tokens]);
      expect(tokens.map(({ logprob }) => logprob)).toEqual([...whole.logprobs]);
      expect(tokens.flatMap(({ top }) => (top ?? []).map(({ id }) => id))).toEqual([...(whole.top?.ids ?? [])]);
      expect(reason).toBe('length');
    }
  });

  it('ends before a stop token', async () => {
    const { tokens } = await one(first, { ...FREE, temperature: 0 });
    const stopTokens = [tokens[5] as number];
    const end = tokens.indexOf(tokens[5] as number);
    const streamed = await drain(engine.stream(first, { ...FREE, temperature: 0, stopTokens }));
    expect(streamed.reason).toBe('stop');
    expect(streamed.tokens.map(({ token }) => token)).toEqual([...tokens.subarray(0, end)]);
  });

  it('several at once do not disturb each other', async () => {
    const alone = await Promise.all(prompts.map((prompt) => one(prompt, { ...FREE, temperature: 0 })));
    const streams = await Promise.all(
      prompts.map((prompt) => drain(engine.stream(prompt, { ...FREE, temperature: 0 }))),
    );
    expect(streams.map(({ tokens }) => tokens.map(({ token }) => token))).toEqual(
      alone.map(({ tokens }) => [...tokens]),
    );
  });
});

describe('an end from outside', () => {
  it('a signal cancels before and between tokens', async () => {
    const cancelled = { code: 'infer.cancelled', retry: 'later' };
    await expect(engine.generate([first], { ...FREE, signal: AbortSignal.abort() })).rejects.toMatchObject(cancelled);
    await expect(engine.stream(first, { ...FREE, signal: AbortSignal.abort() }).next()).rejects.toMatchObject(
      cancelled,
    );
    const controller = new AbortController();
    const running = engine.generate(prompts, { maxNewTokens: 1e9, stopTokens: [], signal: controller.signal });
    setImmediate(() => controller.abort());
    await expect(running).rejects.toMatchObject(cancelled);
    const late = new AbortController();
    const stream = engine.stream(first, { maxNewTokens: 1e9, stopTokens: [], signal: late.signal });
    for (let n = 0; n < 3; n++) await stream.next();
    late.abort();
    await expect(stream.next()).rejects.toMatchObject(cancelled);
  });

  it('an engine that is unloaded ends what runs on it', async () => {
    const disposed = { code: 'infer.disposed', retry: 'later' };
    const other = await tinyEngine();
    const stream = other.stream(first, { maxNewTokens: 1e9, stopTokens: [] });
    await stream.next();
    other.dispose();
    other.dispose();
    await expect(stream.next()).rejects.toMatchObject(disposed);
    await expect(other.generate([first], FREE)).rejects.toMatchObject(disposed);
    const top = { k: 1, ids: Int32Array.of(1), logprobs: Float32Array.of(0), tail: Float32Array.of(0) };
    const trace = { prompt: first, continuation: Int32Array.of(1), top };
    await expect(other.scoreTopK([trace])).rejects.toMatchObject(disposed);
  });

  it('however a generation ends, its memory comes back', async () => {
    const live = new Set<unknown>();
    const reference = referenceDevice({ precision: 'f32' });
    const counting = {
      ...reference,
      allocate(...args: Parameters<typeof reference.allocate>) {
        const buffer = reference.allocate(...args);
        live.add(buffer);
        return buffer;
      },
      free(buffer: Tensor['buffer']) {
        live.delete(buffer);
        reference.free(buffer);
      },
    };
    const other = await tinyEngine('memory', counting);
    const weights = live.size;
    const options = { maxNewTokens: 3, stopTokens: [], topLogprobs: 2 };
    const done = await other.generate(prompts, options);
    await drain(other.stream(first, options));
    const stream = other.stream(first, options);
    await stream.next();
    await stream.return('length');
    const controller = new AbortController();
    const cancelled = other.stream(first, { ...options, signal: controller.signal });
    await cancelled.next();
    controller.abort();
    await expect(cancelled.next()).rejects.toMatchObject({ code: 'infer.cancelled' });
    await expect(other.generate([first, Int32Array.of(-1)], options)).rejects.toThrow();
    await other.scoreTopK(
      done.map(({ tokens, top }, i) => ({
        prompt: prompts[i] as Int32Array,
        continuation: tokens,
        top: top as NonNullable<typeof top>,
      })),
    );
    expect(live.size).toBe(weights);
    other.dispose();
    expect(live.size).toBe(0);
  });
});

it('weights that are not numbers give tokens without a log-probability, not a hang', async () => {
  const broken = await tinyEngine();
  broken.parameters.get('model.norm.weight')?.write(new Float32Array(TINY.d_model).fill(Number.NaN));
  for (const temperature of [0, 1]) {
    const done = await broken.generate(prompts, { ...FREE, temperature, topP: 0.9, topLogprobs: 2 });
    for (const { tokens, logprobs } of done) {
      expect(tokens.length).toBe(12);
      expect(logprobs.every(Number.isNaN)).toBe(true);
    }
  }
});

it('loads a checkpoint and says the same as before it was saved', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quasar-engine-'));
  try {
    await expect(Engine.load(directory)).rejects.toMatchObject({ code: 'checkpoint.invalid' });
    const { config, parameters, tokenizer } = engine;
    await saveCheckpoint(directory, { config, parameters, tokenizer }, 'F32');
    const loaded = await Engine.load(directory);
    expect(loaded.deviceName).toBe(openDevice('auto').name);
    expect(await loaded.generate(prompts, FREE)).toEqual(await engine.generate(prompts, FREE));
    loaded.dispose();
    if (!nativeAvailable()) return;
    const reference = await Engine.load(directory, { device: 'reference' });
    const options = { ...FREE, temperature: 0 };
    const [a, b] = [await reference.generate([first], options), await engine.generate([first], options)];
    expect(a[0]?.tokens).toEqual(b[0]?.tokens);
    expectClose(a[0]?.logprobs ?? [], b[0]?.logprobs ?? []);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
