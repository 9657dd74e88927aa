/** @file Gates of the streaming state and of packing: any division of a text, and any neighbours, give the same result. */
import { crossEntropy, gradients, openDevice, referenceDevice, scope, Tensor } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { forward, vocabularyLogits } from '../../forward.ts';
import type { Parameters } from '../../parameters.ts';
import type { ModelState } from '../../state.ts';
import { logitsOf, maxDifference, randomTokens, TINY, tinyParameters } from '../../testing/tiny.ts';
import type { QuasarConfig } from './config.ts';

const DEVICES = [
  { name: 'float64 oracle', device: referenceDevice({ precision: 'f64' }), tolerance: 1e-10, length: 67 },
  { name: 'best device', device: openDevice('auto'), tolerance: 2e-5, length: 150 },
];
const LOOPED: QuasarConfig = { ...TINY, n_layers: 2, dense_input_layers: 1, num_loops: 2, use_looped_injection: true };
const V = TINY.vocab_size;

/** Logits of one row of tokens, read in blocks of `width`. */
async function streamed(config: QuasarConfig, parameters: Parameters, tokens: Int32Array, width: number) {
  const logits: number[] = [];
  let state: ModelState | undefined;
  for (let from = 0; from < tokens.length; from += width) {
    const block = tokens.subarray(from, from + width);
    const out = scope(() => {
      const { hidden, state: next } = forward(config, parameters, { tokens: block, B: 1, T: block.length, state });
      return { logits: vocabularyLogits(parameters, hidden), state: next };
    });
    logits.push(...(await out.logits.read()));
    out.logits.dispose();
    state?.dispose();
    state = out.state;
  }
  return { logits, state: state as ModelState };
}

describe.each(DEVICES)('$name', ({ device, tolerance, length }) => {
  it('blocks of 1, 7, 64 and 1000 tokens give the same logits and state, with two loops', async () => {
    const config = LOOPED;
    const parameters = await tinyParameters(device, config);
    const tokens = randomTokens(length, V, 'streaming');
    const whole = await logitsOf(config, parameters, { tokens, B: 1, T: tokens.length });
    const reference = await streamed(config, parameters, tokens, 1000);
    expect(maxDifference(reference.logits, whole)).toBe(0);
    for (const width of [1, 7, 64]) {
      const { logits, state } = await streamed(config, parameters, tokens, width);
      expect(maxDifference(logits, whole), `blocks of ${width}`).toBeLessThan(tolerance);
      expect(state.lengths).toEqual(Int32Array.of(tokens.length));
      expect([...state.tensors.keys()]).toEqual([...reference.state.tensors.keys()]);
      for (const [key, tensor] of state.tensors) {
        const expected = await (reference.state.tensors.get(key) as Tensor).read();
        expect(maxDifference(await tensor.read(), expected), `${key}, blocks of ${width}`).toBeLessThan(tolerance * 10);
      }
    }
  });

  it('packed segments of at least 16 tokens give what they give alone, bit for bit, and the same state', async () => {
    const parameters = await tinyParameters(device, LOOPED);
    const lengths = [16, 30, 19];
    const segments = lengths.map((length, i) => randomTokens(length, V, `segment ${i}`));
    const tokens = Int32Array.from(segments.flatMap((s) => [...s]));
    const positions = Int32Array.from(lengths.flatMap((length) => Array.from({ length }, (_, i) => i)));
    const packed = await logitsOf(LOOPED, parameters, { tokens, B: 1, T: tokens.length, positions });
    let at = 0;
    for (const segment of segments) {
      const alone = await logitsOf(LOOPED, parameters, { tokens: segment, B: 1, T: segment.length });
      const inPack = packed.subarray(at * V, (at + segment.length) * V);
      expect(maxDifference(inPack, alone), `segment of ${segment.length}`).toBe(0);
      at += segment.length;
    }
    const last = segments.at(-1) as Int32Array;
    const ofPack = scope(() => forward(LOOPED, parameters, { tokens, B: 1, T: tokens.length, positions }).state);
    const ofLast = scope(() => forward(LOOPED, parameters, { tokens: last, B: 1, T: last.length }).state);
    expect(ofPack.lengths).toEqual(ofLast.lengths);
    for (const [key, tensor] of ofPack.tensors)
      expect(maxDifference(await tensor.read(), await (ofLast.tensors.get(key) as Tensor).read()), key).toBe(0);
  });

  it('short segments, for which kernels take other ways alone, give nearly what they give alone', async () => {
    const parameters = await tinyParameters(device);
    const tokens = Int32Array.of(1, 2, 3, 4, 5, 6);
    const positions = Int32Array.of(0, 1, 2, 0, 0, 1);
    const packed = await logitsOf(TINY, parameters, { tokens, B: 1, T: 6, positions });
    const rest = tokens.subarray(4);
    const alone = await logitsOf(TINY, parameters, { tokens: rest, B: 1, T: 2 });
    expect(maxDifference(packed.subarray(4 * V), alone)).toBeLessThan(tolerance);
  });

  it('no gradient crosses from one segment into another', async () => {
    const parameters = await tinyParameters(device);
    const embeddings = parameters.get('model.embed_tokens.weight') as Tensor;
    for (const p of parameters.values()) p.requiresGrad = true;
    // The first segment uses tokens 0-9, the second 10-19, the third 20-29: rows of the embedding tell them apart.
    const T = 30;
    const tokens = Int32Array.from({ length: T }, (_, t) => t);
    const positions = Int32Array.from({ length: T }, (_, t) => t % 10);
    const loss = (row: number) =>
      gradients([embeddings], () => {
        const { hidden } = forward(TINY, parameters, { tokens, B: 1, T, positions });
        const logits = vocabularyLogits(parameters, hidden, Int32Array.of(row));
        return { loss: crossEntropy(logits, Tensor.from(device, [1], [5], 'int')) };
      }).gradients[0] as Tensor;
    const gradient = await scope(() => loss(17)).read();
    const size = (from: number, to: number) =>
      Math.max(...gradient.subarray(from * TINY.d_model, to * TINY.d_model).map(Math.abs));
    expect(size(0, 10), 'segment before').toBe(0);
    expect(size(18, V), 'later tokens').toBe(0);
    for (let t = 10; t <= 17; t++) expect(size(t, t + 1), `token ${t}`).toBeGreaterThan(0);
  });
});
