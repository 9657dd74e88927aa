/** @file The test of attacks through a whole contest: hub, chain, validator. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Arena, type Entrant, IMPATIENT, MAX_DISK_BYTES, MAX_MEMORY_GROWTH_BYTES, summary } from './arena.ts';

export function testThroughContest(entrants: readonly Entrant[], timeoutMs: number): void {
  let arena: Arena;
  beforeAll(async () => {
    arena = await Arena.open(IMPATIENT);
    await arena.contest(entrants);
  }, timeoutMs);
  afterAll(() => arena.close());

  describe.each([...new Set(entrants.map(({ group }) => group))])('%s', (group) => {
    const members = entrants.filter((one) => one.group === group);
    it.each(members.map((one) => [one.attack.name, one] as const))('%s', (_, entrant) => {
      const { attack } = entrant;
      const { label, submission } = arena.verdict(entrant);
      const codes = submission.issues.map(({ code }) => code);
      const messages = submission.issues.map(({ message }) => message);
      expect(summary(label, codes, messages, attack)).toBe(`${attack.label} ${attack.code}`);
    });
  });

  it('memory and disk stay within their bounds', () => {
    expect(arena.memoryGrowthBytes).toBeLessThan(MAX_MEMORY_GROWTH_BYTES);
    expect(arena.diskBytes).toBeLessThan(MAX_DISK_BYTES);
  });
}
