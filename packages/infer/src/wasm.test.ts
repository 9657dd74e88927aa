/** @file Generation, traces and scores on the wasm device. */
import { nativeAvailable, nativeDevice, wasmAvailable, wasmDevice } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { randomPrompt, tinyEngine } from './testing/tiny-engine.ts';
import { makeTraces } from './traces.ts';

const prompts = [7, 40, 1].map((length) => randomPrompt(length, `prompt ${length}`));
const TRACES = { continuationTokens: 12, topK: 16, temperature: 1, topP: 1, seed: 'traces' };
const FREE = { maxNewTokens: 12, stopTokens: [], seed: 'tokens' };

describe.skipIf(!wasmAvailable() || !nativeAvailable())('an engine on the wasm device', () => {
  const native = nativeDevice();

  it('says and scores what one on the native device does, bit for bit', async (context) => {
    const wasm = wasmDevice({ threads: 2 });
    if (wasm.isa !== 'simd128+fma') context.skip('this processor has no fused multiply-add');
    const [here, there] = [await tinyEngine('student', wasm), await tinyEngine('student', native)];
    expect(await here.generate(prompts, FREE)).toEqual(await there.generate(prompts, FREE));
    const traces = await makeTraces(await tinyEngine('teacher', native), prompts, TRACES);
    expect(await here.scoreTopK(traces)).toEqual(await there.scoreTopK(traces));
  });

  it('scores within rounding without a fused multiply-add', async () => {
    const here = await tinyEngine('student', wasmDevice({ threads: 1, relaxed: false }));
    const there = await tinyEngine('student', native);
    const traces = await makeTraces(await tinyEngine('teacher', native), prompts, TRACES);
    const [scores, expected] = [await here.scoreTopK(traces), await there.scoreTopK(traces)];
    expect(scores.flatMap((row) => [...row])).toHaveLength(36);
    for (const [i, row] of scores.entries())
      for (const [j, kl] of row.entries()) expect(kl).toBeCloseTo(expected[i]?.[j] as number, 4);
  });
});
