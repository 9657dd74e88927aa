/** @file Random shapes: the native device does what the reference does, and what does not fit is refused with an error. */
import { describe, expect, it } from 'vitest';
import { nativeAvailable, nativeDevice } from './devices/native.ts';
import { runCase } from './testing/case.ts';
import { allCases } from './testing/cases/index.ts';
import { differences, fuzzTrial, scratchArguments, TRIAL_NAMES } from './testing/fuzz.ts';

const TRIALS = 250;

describe.skipIf(!nativeAvailable())('fuzz', () => {
  it(`${TRIALS} random calls of ops agree with the reference or are refused`, async () => {
    const native = nativeDevice();
    const scratch = scratchArguments(await allCases());
    const seen = new Set<string>();
    let refused = 0;
    for (let index = 0; index < TRIALS; index++) {
      const trial = fuzzTrial('ordinary', index);
      if (trial.refused) refused++;
      else seen.add((trial.name.match(/ (\w+)/) as RegExpMatchArray)[1] as string);
      for (const one of trial.cases) expect(differences(one, await runCase(native, one), scratch), one.name).toBe('');
    }
    expect(TRIAL_NAMES.filter((name) => !seen.has(name))).toEqual([]);
    expect(refused).toBeGreaterThan(TRIALS / 10);
  }, 120_000);

  it('is not blind: another result is a difference', async () => {
    const { cases } = Array.from({ length: 100 }, (_, i) => fuzzTrial('blind', i)).find(
      ({ cases }) => cases.at(-1)?.kernel === 'axpby' && (cases.at(-1)?.expected[0]?.length ?? 0) > 0,
    ) as ReturnType<typeof fuzzTrial>;
    const one = cases.at(-1) as (typeof cases)[number];
    const off = one.expected.map((x) => x?.map((value, i) => (i === 0 ? value + 1 : value)) ?? null);
    expect(differences(one, one.expected, new Set())).toBe('');
    expect(differences(one, off, new Set())).toMatch(/argument 0 off by/);
  });
});
