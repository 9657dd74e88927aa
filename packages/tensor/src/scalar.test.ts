/** @file The functions of scalar.h: their stated error, NaN and infinities, and the same bits from every instruction set. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nativeAvailable } from './devices/native.ts';

const script = (name: string) => import(new URL(`../scripts/${name}`, import.meta.url).href);

describe.skipIf(!nativeAvailable())('scalar functions', async () => {
  const { buildMeasure, FUNCTIONS, LIMIT_ULP, measure } = await script('scalar-error.js');
  const { widest } = await script('sanitize/sanitized.js');
  let programs: { path: string; dispose(): void }[] = [];
  beforeAll(async () => {
    programs = await Promise.all([buildMeasure(['plain', []]), buildMeasure(widest())]);
  }, 60_000);
  afterAll(() => {
    for (const program of programs) program.dispose();
  });

  // Multiples of 2^16 hold infinities, zeros and NaN; the odd stride holds everything between.
  it.each(FUNCTIONS as string[])('%s: 2 ulp, rules for NaN, infinity and zero, one result everywhere', async (name) => {
    for (const [first, stride] of [
      [0, 2 ** 16],
      [1, 40_009],
    ]) {
      const [plain, wide] = await Promise.all(programs.map((program) => measure(program, name, first, stride)));
      expect(wide.worst).toBeLessThanOrEqual(LIMIT_ULP);
      expect(wide.worst).toBeGreaterThan(0);
      expect(wide.wrong).toBe(0);
      expect(plain).toEqual(wide);
    }
  });
});
