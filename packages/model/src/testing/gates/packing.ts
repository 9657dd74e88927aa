/** @file Gates of packing: neighbours in a row change nothing, and no gradient crosses from one segment to another. */
import { crossEntropy, gatherRows, gradients, reshape, scope, Tensor, weightedSum } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { tensorTable } from '../../families/index.ts';
import { forward, vocabularyLogits } from '../../forward.ts';
import type { Parameters } from '../../parameters.ts';
import type { GateCase } from '../gates.ts';
import { logitsOf, maxDifference, randomTokens, relativeError } from '../tiny.ts';
import { streamed } from './streaming.ts';

/** 0, 1, … in each segment. */
export function packedPositions(lengths: readonly number[]): Int32Array {
  return Int32Array.from(lengths.flatMap((length) => Array.from({ length }, (_, i) => i)));
}

export function packingGates({ makeParameters, device, tolerance, stateGrows, ...one }: GateCase): void {
  const config = one.loops?.config(2, true) ?? one.config;
  const V = config.vocab_size;

  it('packed segments of at least 16 tokens give what they give alone, bit for bit, and the same state', async () => {
    const parameters = await makeParameters(device, config);
    const lengths = [16, 67, 19];
    const segments = lengths.map((length, i) => randomTokens(length, V, `segment ${i}`));
    const tokens = Int32Array.from(segments.flatMap((s) => [...s]));
    const [T, positions] = [tokens.length, packedPositions(lengths)];
    const packed = await logitsOf(config, parameters, { tokens, B: 1, T, positions });
    let at = 0;
    for (const segment of segments) {
      const alone = await logitsOf(config, parameters, { tokens: segment, B: 1, T: segment.length });
      const inPack = packed.subarray(at * V, (at + segment.length) * V);
      expect(maxDifference(inPack, alone), `segment of ${segment.length}`).toBe(0);
      at += segment.length;
    }
    const last = segments.at(-1) as Int32Array;
    const ofPack = scope(() => forward(config, parameters, { tokens, B: 1, T, positions }).state);
    const ofLast = scope(() => forward(config, parameters, { tokens: last, B: 1, T: last.length }).state);
    expect(ofPack.lengths).toEqual(ofLast.lengths);
    const rest = randomTokens(5, V, 'rest');
    const [after, expected] = [ofPack, ofLast].map((state) => streamed(config, parameters, rest, 3, state));
    expect((await after)?.logits).toEqual((await expected)?.logits);
    if (stateGrows) return;
    for (const [key, tensor] of ofPack.tensors)
      expect(maxDifference(await tensor.read(), await (ofLast.tensors.get(key) as Tensor).read()), key).toBe(0);
  });

  it('the loss of a packed row is that of its segments', async () => {
    const parameters = await makeParameters(device, config);
    const lengths = [3, 70, 1, 20];
    const segments = lengths.map((length, i) => randomTokens(length, V, `loss ${i}`));
    const tokens = Int32Array.from(segments.flatMap((s) => [...s]));
    const packed = await meanLoss(parameters, tokens, packedPositions(lengths));
    let sum = 0;
    for (const segment of segments) sum += segment.length * (await meanLoss(parameters, segment));
    expect(Math.abs(packed - sum / tokens.length)).toBeLessThan(1e-6);
  });

  async function meanLoss(parameters: Parameters, tokens: Int32Array, positions?: Int32Array): Promise<number> {
    const T = tokens.length;
    const losses = scope(() => {
      const { hidden } = forward(config, parameters, { tokens, B: 1, T, positions });
      const targets = Tensor.from(
        device,
        [T],
        tokens.map((id) => (id + 1) % V),
        'int',
      );
      return crossEntropy(vocabularyLogits(parameters, hidden), targets);
    });
    return Float64Array.from(await losses.read()).reduce((total, loss) => total + loss, 0) / T;
  }

  it('short segments, for which kernels take other ways alone, give nearly what they give alone', async () => {
    const parameters = await makeParameters(device, config);
    const tokens = Int32Array.of(1, 2, 3, 4, 5, 6);
    const packed = await logitsOf(config, parameters, { tokens, B: 1, T: 6, positions: packedPositions([3, 1, 2]) });
    const alone = await logitsOf(config, parameters, { tokens: tokens.subarray(4), B: 1, T: 2 });
    expect(relativeError(packed.subarray(4 * V), alone)).toBeLessThan(tolerance);
  });

  it('no gradient crosses from one segment into another', async () => {
    const parameters = await makeParameters(device, config);
    const [table] = [...tensorTable(config)].find(([, { role }]) => role === 'embedding') as [string, unknown];
    const embeddings = parameters.get(table) as Tensor;
    for (const p of parameters.values()) p.requiresGrad = true;
    // The first segment uses tokens 0-9, the second 10-19, the third 20-29: rows of the embedding tell them apart.
    const [T, D] = [30, embeddings.dim(-1)];
    const tokens = Int32Array.from({ length: T }, (_, t) => t);
    const positions = packedPositions([10, 10, 10]);
    const direction = Tensor.from(
      device,
      [1, D],
      Float64Array.from({ length: D }, (_, i) => Math.sin(i + 1)),
    );
    const loss = (row: number) =>
      gradients([embeddings], () => {
        const { hidden } = forward(config, parameters, { tokens, B: 1, T, positions });
        const chosen = gatherRows(reshape(hidden, [T, D]), Tensor.from(device, [1], [row], 'int'));
        return { loss: weightedSum(chosen, direction) };
      }).gradients[0] as Tensor;
    const gradient = await scope(() => loss(17)).read();
    const size = (from: number, to: number) => Math.max(...gradient.subarray(from * D, to * D).map(Math.abs));
    expect(size(0, 10), 'segment before').toBe(0);
    expect(size(18, V), 'later tokens').toBe(0);
    for (let t = 10; t <= 17; t++) expect(size(t, t + 1), `token ${t}`).toBeGreaterThan(0);
  });
}
