/** @file The main job: `npm start` from nothing to a crowned king, with every kind of submission on the way. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import type { UpResult } from '../packages/cli/src/up/result.ts';
import { childrenOf, isAlive, netWithKing, stopNet, supervisorOf } from './support/net.ts';
import { quasar, run } from './support/run.ts';

const home = inject('sharedHome');
const LIMIT_MS = 900_000;

describe('npm start -- --rounds 3 --json --no-open', () => {
  let result: UpResult;
  let stderr: string;

  beforeAll(async () => {
    await stopNet(home, 'SIGINT');
    const outcome = await run('npm', ['start', '--', '--rounds', '3', '--json', '--no-open', '--home', home]);
    stderr = outcome.stderr;
    expect({ code: outcome.code, stderr }).toMatchObject({ code: 0 });
    result = JSON.parse(outcome.stdout.trim().split('\n').at(-1) as string);
  }, LIMIT_MS);

  it('crowns a king', () => {
    expect(result.king).toMatchObject({ uid: expect.any(Number), crownedAtBlock: expect.any(Number) });
    expect(result.king?.revision).toMatch(/^[0-9a-f]{40}$/);
    expect(result.reigns).toBeGreaterThanOrEqual(1);
    expect(result.rounds).toBeGreaterThanOrEqual(3);
  });

  it('gives every submission its status, and a reason to those it refuses', () => {
    const of = (owner: string) => result.submissions.filter((one) => one.repo.startsWith(`${owner}/`));
    expect(of('honest').map((one) => one.status)).toEqual([expect.stringMatching(/^(king|dethroned)$/)]);
    expect(of('better').map((one) => one.status)).toEqual([expect.stringMatching(/^(king|lost)$/)]);
    expect(of('copycat')).toEqual([expect.objectContaining({ status: 'COPY', reason: expect.stringMatching(/\w/) })]);
    expect(of('broken')).toEqual([expect.objectContaining({ status: 'INVALID', reason: expect.stringMatching(/\w/) })]);
  });

  it('sets weights 0.9 for the king and 0.1 for the reserve on chain', () => {
    const shares = result.weights.map(({ uid, weight }) => [uid === result.king?.uid ? 'king' : 'reserve', weight]);
    expect(Object.fromEntries(shares)).toEqual({ king: expect.closeTo(0.9, 3), reserve: expect.closeTo(0.1, 3) });
  });

  it('reports the numbers of every duel', () => {
    expect(result.duels.length).toBeGreaterThan(0);
    for (const duel of result.duels) {
      expect(duel.n).toBeGreaterThan(1);
      for (const value of [duel.meanDelta, duel.se, duel.p, duel.lcb]) expect(Number.isFinite(value)).toBe(true);
      expect(duel.win).toBe(duel.win && duel.p < 0.03);
    }
  });

  it('leaves no process and no lock behind', () => {
    expect(supervisorOf(home)).toBeNull();
    expect(existsSync(join(home, 'up.lock'))).toBe(false);
  });
});

describe('a running net', () => {
  it(
    'refuses a second supervisor on its home',
    async () => {
      await netWithKing(home);
      const { code, stderr } = await quasar('up', '--home', home);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('[usage.home_locked]') });
    },
    LIMIT_MS,
  );

  it(
    'stops everything on Ctrl-C',
    async () => {
      await netWithKing(home);
      const children = childrenOf(home);
      expect(children.length).toBeGreaterThanOrEqual(4);
      await stopNet(home, 'SIGINT');
      expect(children.filter(isAlive)).toEqual([]);
      expect(existsSync(join(home, 'up.lock'))).toBe(false);
    },
    LIMIT_MS,
  );
});
