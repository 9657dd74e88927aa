/** @file Scoring against teacher traces: equal to a plain float64 computation, zero for the teacher, bad traces refused. */
import { forward, vocabularyLogits } from '@quasar/model';
import { scope } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { BLOCK_TOKENS } from './batches.ts';
import { randomPrompt, TINY, tinyEngine } from './testing/tiny-engine.ts';
import { makeTraces } from './traces.ts';
import type { Trace } from './types.ts';

const teacher = await tinyEngine('teacher');
const student = await tinyEngine('student');
const prompts = [7, 40, 1].map((length) => randomPrompt(length, `prompt ${length}`));
const OPTIONS = { continuationTokens: 20, topK: 16, temperature: 1, topP: 1, seed: 'traces' };
const traces = await makeTraces(teacher, prompts, OPTIONS);
const V = TINY.vocab_size;

/** KL over the top k plus the tail bucket at continuation token `j`, in float64 from the student's logits. */
async function plainKl({ prompt, continuation, top }: Trace): Promise<number[]> {
  const tokens = Int32Array.of(...prompt, ...continuation);
  const block = { tokens, B: 1, T: tokens.length };
  const logits = scope(() => vocabularyLogits(student.parameters, forward(TINY, student.parameters, block).hidden));
  const all = Float64Array.from(await logits.read());
  logits.dispose();
  return Array.from(continuation, (_, j) => {
    const row = all.subarray((prompt.length - 1 + j) * V, (prompt.length + j) * V);
    const logSum = (values: Iterable<number>) => Math.log([...values].reduce((sum, z) => sum + Math.exp(z), 0));
    const whole = logSum(row);
    const ids = top.ids.subarray(j * top.k, (j + 1) * top.k);
    const rest = logSum(row.filter((_, v) => !ids.includes(v))) - whole;
    const tail = top.tail[j] as number;
    return ids.reduce(
      (sum, id, n) => {
        const p = top.logprobs[j * top.k + n] as number;
        return sum + Math.exp(p) * (p - ((row[id] as number) - whole));
      },
      tail * (Math.log(tail) - rest),
    );
  });
}

describe('scoreTopK', () => {
  it('is the KL of the teacher from the student at each token', async () => {
    const scores = await student.scoreTopK(traces);
    for (const [i, trace] of traces.entries()) {
      const expected = await plainKl(trace);
      expect(scores[i]).toHaveLength(expected.length);
      for (const [j, kl] of expected.entries()) expect(scores[i]?.[j]).toBeCloseTo(kl, 4);
      expect(Math.min(...expected)).toBeGreaterThan(0.01);
    }
  });

  // Logits of teacher and student, subnet.md section 10. Tails are proportional, so the full KL is the same.
  it.each([
    { teacher: [4, 3, 0, 0], own: [4, 3, 6, 6], k: 2, kl: 2.285495825 },
    { teacher: [2, 0, -1, -3], own: [1.5, 0.5, -0.5, -2.5], k: 4, kl: 0.083225791 },
    { teacher: [2, 0, -1, -3], own: [1.5, 0.5, -0.5, -2.5], k: 2, kl: 0.083225791 },
    { teacher: [1, 0, -1, -2, -3], own: [0, 1, -1, -2, -3], k: 2, kl: 0.402286989 },
    { teacher: [1, 0, -1, -2, -3], own: [1, 0, -1, -2, -3], k: 3, kl: 0 },
  ])('published vector: $teacher against $own, top $k', async ({ teacher: logits, own, k, kl }) => {
    const engine = await tinyEngine('vectors');
    const prompt = Int32Array.of(7);
    const state = scope(() => forward(TINY, engine.parameters, { tokens: prompt, B: 1, T: 1 }).hidden);
    const h = Float32Array.from(await state.read());
    state.dispose();
    // Each row of the head lies along the state of the prompt; tokens beyond the vector have no mass.
    const squares = h.reduce((sum, x) => sum + x * x, 0);
    const head = engine.parameters.get('lm_head.weight')!;
    head.write(
      Float32Array.from({ length: V * h.length }, (_, at) => {
        const id = Math.floor(at / h.length);
        return ((own[id] ?? -60) * h[at % h.length]!) / squares;
      }),
    );
    const all = Math.log(logits.reduce((sum, z) => sum + Math.exp(z), 0));
    const ids = logits.map((_, id) => id).sort((a, b) => logits[b]! - logits[a]!);
    const mass = ids.slice(k).reduce((sum, id) => sum + Math.exp(logits[id]! - all), 0);
    const logprobs = Float32Array.from(ids.slice(0, k), (id) => logits[id]! - all);
    const top = { k, ids: Int32Array.from(ids.slice(0, k)), logprobs, tail: Float32Array.of(mass) };
    const [scores] = await engine.scoreTopK([{ prompt, continuation: Int32Array.of(1), top }]);
    expect(scores).toHaveLength(1);
    expect(scores![0]).toBeCloseTo(kl, 5);
  });

  it('is next to nothing for the teacher itself', async () => {
    for (const scores of await teacher.scoreTopK(traces))
      for (const kl of scores) expect(Math.abs(kl)).toBeLessThan(1e-5);
  });

  it('does not depend on the other traces of the batch', async () => {
    const together = await student.scoreTopK(traces);
    expect(await student.scoreTopK(traces)).toEqual(together);
    for (const [i, trace] of traces.entries()) {
      const [alone] = await student.scoreTopK([trace]);
      expect(alone).toHaveLength(20);
      for (const [j, kl] of (alone ?? []).entries()) expect(kl).toBeCloseTo(together[i]?.[j] as number, 5);
    }
  });

  it('gives nothing for no continuation, beside others and alone', async () => {
    const empty: Trace = {
      prompt: Int32Array.of(1, 2),
      continuation: new Int32Array(0),
      top: { k: 3, ids: new Int32Array(0), logprobs: new Float32Array(0), tail: new Float32Array(0) },
    };
    const [first] = traces as [Trace];
    const [alone] = await student.scoreTopK([first]);
    const [a, b] = await student.scoreTopK([empty, first]);
    expect(a).toHaveLength(0);
    expect(b?.[3]).toBeCloseTo(alone?.[3] as number, 5);
    expect(await student.scoreTopK([empty])).toEqual([new Float64Array(0)]);
    expect(await student.scoreTopK([])).toEqual([]);
  });

  it('weights that are not numbers give no number, and end', async () => {
    const broken = await tinyEngine();
    broken.parameters.get('model.norm.weight')?.write(new Float32Array(TINY.d_model).fill(Number.NaN));
    for (const scores of await broken.scoreTopK(traces)) expect(scores.every(Number.isNaN)).toBe(true);
  });

  describe('refuses', () => {
    const [good] = traces as [Trace];
    it.each<[string, Trace]>([
      ['an empty prompt', { ...good, prompt: new Int32Array(0) }],
      ['an id above the vocabulary', { ...good, top: { ...good.top, ids: good.top.ids.map((id, i) => (i ? id : V)) } }],
      ['a negative id', { ...good, top: { ...good.top, ids: good.top.ids.map((id, i) => (i ? id : -1)) } }],
      ['too few ids', { ...good, top: { ...good.top, ids: good.top.ids.slice(1) } }],
      ['too few log-probabilities', { ...good, top: { ...good.top, logprobs: good.top.logprobs.slice(1) } }],
      ['too many tails', { ...good, top: { ...good.top, tail: new Float32Array(21) } }],
      ['a view of fewer tokens', { ...good, continuation: Int32Array.of(1) }],
      ['another k than its neighbour', { ...good, top: { ...good.top, k: 8 } }],
    ])('%s', async (_, bad) => {
      await expect(student.scoreTopK([...traces, bad])).rejects.toMatchObject({ code: 'infer.bad_trace' });
    });

    it('a foreign token', async () => {
      const bad = { ...good, continuation: good.continuation.map((id, i) => (i ? id : V)) };
      await expect(student.scoreTopK([bad])).rejects.toMatchObject({ code: 'model.token_out_of_range' });
    });
  });
});

describe('makeTraces', () => {
  it('gives continuations of the asked length, a function of the seed', async () => {
    expect(await makeTraces(teacher, prompts, OPTIONS)).toEqual(traces);
    const others = await makeTraces(teacher, prompts, { ...OPTIONS, seed: 'others' });
    for (const [i, { prompt, continuation, top }] of traces.entries()) {
      expect(prompt).toBe(prompts[i]);
      expect(continuation).toHaveLength(20);
      expect([top.k, top.ids.length, top.tail.length]).toEqual([16, 320, 20]);
      expect(others[i]?.continuation).not.toEqual(continuation);
    }
  });

  it('goes on past the end of a turn', async () => {
    const ends = await makeTraces(teacher, prompts, { ...OPTIONS, continuationTokens: 400, topK: 1 });
    const end = teacher.tokenizer.specials.end;
    expect(ends.some(({ continuation }) => continuation.includes(end))).toBe(true);
    expect(ends.map(({ continuation }) => continuation.length)).toEqual([400, 400, 400]);
  });

  it('refuses a top k of nothing, and can be cancelled', async () => {
    const run = (change: object) => makeTraces(teacher, prompts, { ...OPTIONS, ...change });
    await expect(run({ topK: 0 })).rejects.toMatchObject({ code: 'infer.bad_top_k' });
    await expect(run({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'infer.cancelled' });
  });
});

it('reads a trace longer than a block with a carried state', async () => {
  const prompt = randomPrompt(BLOCK_TOKENS - 7, 'longer than a block');
  const [trace] = (await makeTraces(teacher, [prompt], { ...OPTIONS, continuationTokens: 20 })) as [Trace];
  const [scores] = (await student.scoreTopK([trace])) as [Float64Array];
  const expected = await plainKl(trace);
  expect(scores).toHaveLength(expected.length);
  for (const [j, kl] of expected.entries()) expect(scores[j]).toBeCloseTo(kl, 4);
});
