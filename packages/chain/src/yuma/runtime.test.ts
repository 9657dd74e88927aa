/**
 * @file Epochs as the real runtime ran them (spec 293), both versions, u16 for u16.
 *
 * Recorded by `npm run test:conformance` with SUBTENSOR_RECORD (conformance/yuma.test.ts): numbers only.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type EpochInput, runEpoch } from './epoch.ts';

interface Vector {
  name: string;
  epoch: number;
  input: Omit<EpochInput, 'stake' | 'emission'> & { stake: string[] };
  output: Record<string, unknown>;
}

const file = new URL('./testing/runtime-293.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: Vector[] };

describe('epochs of the runtime', () => {
  it.each(vectors)('$name, epoch $epoch', ({ input, output }) => {
    const ours = runEpoch({ ...input, stake: input.stake.map(BigInt), emission: 0n });
    const plain = Object.entries(ours).map(([name, value]) => [
      name,
      value instanceof Uint16Array ? [...value] : value,
    ]);
    expect(Object.fromEntries(plain)).toMatchObject(output);
  });

  it('is not about nothing', () => {
    expect(vectors.length).toBeGreaterThan(40);
    const incentives = vectors.map(({ output }) => output.incentive as number[]);
    expect(incentives.filter((shares) => shares.some((share) => share > 0)).length).toBeGreaterThan(30);
  });
});
