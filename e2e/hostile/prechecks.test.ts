/** @file Attacks that end before anything is evaluated, through the real hub and the prechecks. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createModelLock, hubSource, precheck } from '../../packages/subnet/src/index.ts';
import { TEST_CONFIG } from '../../packages/subnet/src/testing/contest.ts';
import { Arena, ENTRANTS, summary } from './arena.ts';
import { capsOf, expectWithinCaps } from './caps.ts';
import { needsContest } from './groups.ts';

let arena: Arena;
let lock: Awaited<ReturnType<typeof createModelLock>>;
const entrants = ENTRANTS.filter((one) => !needsContest(one));

beforeAll(async () => {
  arena = await Arena.open();
  lock = await createModelLock(join(arena.test.root, 'base'), TEST_CONFIG.limits);
});
afterAll(() => arena.close());

describe.each([...new Set(entrants.map(({ group }) => group))])('%s', (group) => {
  const members = entrants.filter((one) => one.group === group);
  it.each(members.map((one) => [one.attack.name, one] as const))('%s', async (_, entrant) => {
    const { attack, owner } = entrant;
    const { repo, revision } = await arena.publish(entrant);
    const outcome = await precheck({
      submission: { id: `${owner}:1`, uid: 1, hotkey: owner, repo, revision, revealedAtBlock: 1 },
      source: hubSource(arena.hub, repo, revision),
      ...{
        lock,
        rules: TEST_CONFIG.copies,
        numbers: TEST_CONFIG.numbers,
        secret: 'secret',
        submissions: [],
        records: [],
      },
    });
    const [label, issues] = outcome.passed ? (['judged', []] as const) : [outcome.status, outcome.issues];
    const codes = issues.map(({ code }) => code);
    const messages = issues.map(({ message }) => message);
    expect(summary(label, codes, messages, attack)).toBe(`${attack.label} ${attack.code}`);
    for (const { code, message } of issues) {
      expect(code).toMatch(/^[a-z]+\.[a-z_0-9]+$/);
      expect(message.length).toBeLessThan(400);
    }
  });
});

it('memory and disk stay under their caps', async () => expectWithinCaps(await capsOf(arena, entrants.length)));
