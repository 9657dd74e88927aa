/** @file The test of attacks through a whole contest: hub, chain, validator, evaluator, cage. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ground } from '../../packages/subnet/src/testing/hostile/ground.ts';
import type { CorpusFigures } from '../../packages/subnet/src/testing/hostile/table.ts';
import { Arena, type Entrant, IMPATIENT, summary } from './arena.ts';
import { capsOf, expectWithinCaps } from './caps.ts';

export function testThroughContest(
  entrants: readonly Entrant[],
  ground: Ground,
  timeoutMs: number,
  onFigures: (figures: CorpusFigures) => void = () => {},
): void {
  let arena: Arena;
  beforeAll(async () => {
    arena = await Arena.open(IMPATIENT, ground);
    await arena.contest(entrants);
  }, timeoutMs);
  afterAll(() => arena.close());

  describe.each([...new Set(entrants.map(({ group }) => group))])('%s', (group) => {
    const members = entrants.filter((one) => one.group === group);
    it.each(members.map((one) => [one.attack.name, one] as const))('%s', (_, entrant) => {
      const { attack, owner } = entrant;
      const { label, submission } = arena.verdict(entrant);
      const codes = submission.issues.map(({ code }) => code);
      const messages = submission.issues.map(({ message }) => message);
      expect(summary(label, codes, messages, attack)).toBe(`${attack.label} ${attack.code}`);
      const rounds = [...arena.outcome.rounds.values()];
      const places = arena.submissions(owner).filter(({ id }) => rounds.some((one) => one.candidates.includes(id)));
      expect(places.length).toBeLessThanOrEqual(attack.again ? 2 : 1);
    });
  });

  it('who is honest is judged, whoever stands around', () => {
    expect(arena.verdict({ owner: 'victim' })).toMatchObject({ label: 'judged', submission: { status: 'king' } });
    expect(arena.verdict({ owner: 'latecomer' })).toMatchObject({ label: 'judged', submission: { failures: 0 } });
  });

  it('no attack ever was king, and no weight went to one', async () => {
    expect(arena.outcome.reigns.map(({ hotkey }) => arena.ownerOf(hotkey))).toEqual(['victim']);
    const weighted = await arena.weighted();
    expect(weighted.length).toBeGreaterThan(0);
    // The validator keeps what nobody has earned.
    for (const { hotkey } of weighted) expect(['victim', undefined]).toContain(arena.ownerOf(hotkey));
  });

  it('memory and disk stay under their caps', async () => {
    const figures = await capsOf(arena, arena.outcome.submissions.size);
    onFigures(figures);
    expectWithinCaps(figures);
  });
}
