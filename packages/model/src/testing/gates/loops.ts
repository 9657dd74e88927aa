/** @file Gates of looped models: anchors behind closed gates change nothing, open ones do, every loop counts. */
import { expect, it } from 'vitest';
import type { ModelConfig } from '../../families/index.ts';
import type { GateCase } from '../gates.ts';
import { logitsOf, maxDifference, randomTokens } from '../tiny.ts';

export interface Loops {
  /** The model with so many loops, with or without an anchor injected. */
  config(count: number, injected: boolean): ModelConfig;
  /** Names of the logits of injection gates. */
  gates: RegExp;
}

export function loopGates({ makeParameters, device }: GateCase, loops: Loops): void {
  it.each([1, 2])('%i loops with injection through closed gates are those without', async (count) => {
    const [plain, injected] = [loops.config(count, false), loops.config(count, true)];
    const parameters = await makeParameters(device, injected);
    const block = { tokens: randomTokens(10, plain.vocab_size, 'gate'), B: 1, T: 10 };
    const set = (value: number) => {
      for (const [name, tensor] of parameters)
        if (loops.gates.test(name)) tensor.write(new Float64Array(tensor.size).fill(value));
    };
    set(Number.NEGATIVE_INFINITY);
    const closed = await logitsOf(injected, parameters, block);
    expect(maxDifference(closed, await logitsOf(plain, parameters, block))).toBe(0);
    set(0);
    expect(maxDifference(await logitsOf(injected, parameters, block), closed)).toBeGreaterThan(1e-3);
  });

  it('a second loop changes the result', async () => {
    const parameters = await makeParameters(device, loops.config(2, false));
    const block = { tokens: randomTokens(10, loops.config(1, false).vocab_size, 'loop'), B: 1, T: 10 };
    const [one, two] = [loops.config(1, false), loops.config(2, false)].map((c) => logitsOf(c, parameters, block));
    expect(maxDifference((await one) ?? [], (await two) ?? [])).toBeGreaterThan(1e-3);
  });
}
