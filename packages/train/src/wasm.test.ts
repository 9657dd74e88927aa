/** @file Training on the wasm device. */
import { nativeAvailable, nativeDevice, wasmAvailable, wasmDevice } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { worldSource } from './data/source.ts';
import { digestOf, TOKENIZER, tinyCheckpoint, tinyRun } from './testing/tiny.ts';
import { train } from './trainer.ts';

describe.skipIf(!wasmAvailable())('a run on the wasm device', () => {
  it.each([true, false])('learns (relaxed SIMD: %s)', async (relaxed) => {
    const checkpoint = tinyCheckpoint('tiny', wasmDevice({ threads: 2, relaxed }));
    const heldOut = { world: worldSource(TOKENIZER) };
    const { evaluations } = await train(tinyRun({ steps: 10, evaluateEvery: 10 }, { checkpoint, heldOut }));
    const [before, after] = evaluations.map((e) => e.heldOut.world?.ce as number) as [number, number];
    expect(after).toBeLessThan(before - 0.5);
  });

  it.skipIf(!nativeAvailable())('ends with the weights of a native run, bit for bit', async (context) => {
    const wasm = wasmDevice({ threads: 2 });
    if (wasm.isa !== 'simd128+fma') context.skip('this processor has no fused multiply-add');
    const [here, there] = [tinyCheckpoint('tiny', wasm), tinyCheckpoint('tiny', nativeDevice())];
    await train(tinyRun({ steps: 6 }, { checkpoint: here }));
    await train(tinyRun({ steps: 6 }, { checkpoint: there }));
    expect(await digestOf(here)).toBe(await digestOf(there));
  });
});
