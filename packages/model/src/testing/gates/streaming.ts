/** @file Gates of the streaming state: any division of a text gives the same; a state is a value. */
import { scope, type Tensor } from '@quasar/tensor';
import { expect, it } from 'vitest';
import type { ModelConfig } from '../../families/index.ts';
import { forward, vocabularyLogits } from '../../forward.ts';
import type { Parameters } from '../../parameters.ts';
import type { ModelState } from '../../state.ts';
import { decodeState, encodeState } from '../../state-bytes.ts';
import { stateShapes } from '../../state-shapes.ts';
import type { GateCase } from '../gates.ts';
import { logitsOf, maxDifference, randomTokens, relativeError } from '../tiny.ts';

/** Logits of one row of tokens, read in blocks of `width` after `state`, which is left as it is. */
export async function streamed(
  config: ModelConfig,
  parameters: Parameters,
  tokens: Int32Array,
  width: number,
  before?: ModelState,
): Promise<{ logits: number[]; state: ModelState }> {
  const logits: number[] = [];
  let state = before;
  for (let from = 0; from < tokens.length; from += width) {
    const block = tokens.subarray(from, from + width);
    const out = scope(() => {
      const { hidden, state: next } = forward(config, parameters, { tokens: block, B: 1, T: block.length, state });
      return { logits: vocabularyLogits(parameters, hidden), state: next };
    });
    logits.push(...(await out.logits.read()));
    out.logits.dispose();
    if (state !== before) state?.dispose();
    state = out.state;
  }
  return { logits, state: state as ModelState };
}

export function streamingGates({
  config,
  makeParameters,
  device,
  tolerance,
  length,
  loops,
  stateGrows,
}: GateCase): void {
  const V = config.vocab_size;
  const subjects = new Map([['', config]]);
  if (loops) subjects.set(', with two loops', loops.config(2, true));

  it.each([...subjects])('blocks of 1, 7, 64 and 1000 tokens give the same logits and state%s', async (_, config) => {
    const parameters = await makeParameters(device, config);
    const tokens = randomTokens(length, V, 'streaming');
    const whole = await logitsOf(config, parameters, { tokens, B: 1, T: length });
    const reference = await streamed(config, parameters, tokens, 1000);
    expect(maxDifference(reference.logits, whole)).toBe(0);
    for (const width of [1, 7, 64]) {
      const { logits, state } = await streamed(config, parameters, tokens, width);
      expect(relativeError(logits, whole), `blocks of ${width}`).toBeLessThan(tolerance);
      expect(state.lengths).toEqual(Int32Array.of(length));
      expect([...state.tensors.keys()]).toEqual([...reference.state.tensors.keys()]);
      for (const [key, tensor] of state.tensors) {
        const expected = reference.state.tensors.get(key) as Tensor;
        expect(tensor.shape, key).toEqual(expected.shape);
        const error = relativeError(await tensor.read(), await expected.read());
        expect(error, `${key}, blocks of ${width}`).toBeLessThan(tolerance);
      }
    }
  });

  it('chunks of 16, 32 and 64 tokens, and of one, give the same', async () => {
    const parameters = await makeParameters(device, config);
    const tokens = randomTokens(length, V, 'chunks');
    const logits = (chunk?: number) => logitsOf(config, parameters, { tokens, B: 1, T: length, chunk });
    const whole = await logits();
    for (const chunk of [16, 32, 64])
      expect(relativeError(await logits(chunk), whole), `${chunk}`).toBeLessThan(tolerance);
    // Kernels take no chunks below 16: one token at a time is the recurrence itself.
    const { logits: single } = await streamed(config, parameters, tokens, 1);
    expect(relativeError(single, whole), 'one').toBeLessThan(tolerance);
  });

  it('a state is a value: copies and forks go on alike, and what goes on from it does not change it', async () => {
    const parameters = await makeParameters(device, config);
    const [B, T] = [2, Math.min(length, 67)];
    const { state } = scope(() => forward(config, parameters, { tokens: randomTokens(B * T, V, 'fork'), B, T }));
    const values = async () => Promise.all([...state.tensors.values()].map(async (t) => [...(await t.read())]));
    const before = await values();
    const rest = randomTokens(9, V, 'rest');
    const rows = [state.select([1]), state.select([0]), state.select([1])] as const;
    const [second, first, again] = await Promise.all(rows.map((row) => streamed(config, parameters, rest, 4, row)));
    expect(again?.logits).toEqual(second?.logits);
    expect(maxDifference(first?.logits ?? [], second?.logits ?? [])).toBeGreaterThan(0);
    const fork = await streamed(config, parameters, randomTokens(9, V, 'other'), 9, rows[0]);
    expect(maxDifference(fork.logits, second?.logits ?? [])).toBeGreaterThan(0);
    expect((await streamed(config, parameters, rest, 4, rows[0])).logits).toEqual(second?.logits);
    expect(await values()).toEqual(before);
  });

  it('a state survives its bytes: what is restored goes on alike', async () => {
    const parameters = await makeParameters(device, config);
    const [B, T] = [2, 21];
    const tokens = randomTokens(B * T, V, 'bytes');
    // Rows of different lengths: the first has another document before.
    const positions = Int32Array.from(tokens, (_, i) => (i < 5 ? i : i < T ? i - 5 : i - T));
    const { state } = scope(() => forward(config, parameters, { tokens, B, T, positions }));
    expect(state.lengths).toEqual(Int32Array.of(16, 21));
    const shapes = new Map([...state.tensors].map(([key, { shape }]) => [key, shape]));
    expect([...stateShapes(config, state.lengths)]).toEqual([...shapes]);
    const restored = decodeState(config, device, await encodeState(config, state));
    if (!restored.ok) throw new Error(JSON.stringify(restored.issues));
    expect(restored.value.lengths).toEqual(state.lengths);
    for (const row of [0, 1]) {
      const rest = randomTokens(9, V, 'rest');
      const [after, expected] = [restored.value, state].map((s) =>
        streamed(config, parameters, rest, 4, s.select([row])),
      );
      // The file holds float32.
      const error = relativeError((await after)?.logits ?? [], (await expected)?.logits ?? []);
      expect(error).toBeLessThanOrEqual(device.floatBytes === 4 ? 0 : 1e-6);
    }
  });

  if (stateGrows) return;
  it('the size of a state does not depend on what was read', async () => {
    const parameters = await makeParameters(device, config);
    const tokens = randomTokens(length, V, 'size');
    const once = await streamed(config, parameters, tokens.subarray(0, 1), 1);
    const all = await streamed(config, parameters, tokens, length);
    expect(all.state.sizeBytes).toBe(once.state.sizeBytes);
    expect(all.state.sizeBytes).toBeGreaterThan(0);
  });
}
