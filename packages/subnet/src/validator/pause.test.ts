/** @file A validator that has to wait, and one that is told to stop while it waits. */
import { QuasarError } from '@quasar/base';
import type { Wallet } from '@quasar/chain';
import type { Store } from '@quasar/store';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { rebuildContest } from '../projection.ts';
import { overlay, student, TestContest, waitUntil } from '../testing/contest.ts';
import type { LogLine, ValidatorOptions } from './context.ts';
import { runValidator } from './validator.ts';

let test: TestContest;
let owner: Wallet;

beforeAll(async () => {
  test = await TestContest.start();
  owner = await test.wallet('owner', 1000);
  await test.submit(await test.wallet('ann'), 'ann/model', student(0.5));
});
afterAll(() => test.stop());

it.each(['full', 'read-only'])('a %s store is waited for, said so, and costs nothing', async (what) => {
  const store = test.store(`pause-${what}`);
  let refusals = 0;
  // Every write of a verdict finds the disk full once or twice, at its start or half way.
  const refusing: Store = {
    ...store,
    appendAll(events) {
      const isDue = events.some(({ type }) => ['round.started', 'round.judged', 'king.crowned'].includes(type));
      if (isDue && refusals++ % 3 < 2)
        throw new QuasarError('store.disk', `cannot write the file: ${what}`, { retry: 'later' });
      return store.appendAll(events);
    },
  };
  const lines: LogLine[] = [];
  const stop = new AbortController();
  const options = test.options(`pause-${what}`, owner, refusing, stop.signal);
  const running = runValidator({ ...options, log: (line) => lines.push(line) });
  await Promise.race([running, waitUntil(store, (c) => c.weights?.weights.length === 2, stop.signal)]);
  stop.abort();
  await running;
  expect(refusals).toBeGreaterThan(5);
  expect(lines.filter(({ code }) => code === 'store.disk').length).toBeGreaterThan(3);
  expect(lines.map(({ message }) => message)).toContain('going on');
  const contest = rebuildContest(store.events());
  expect(contest.king?.repo).toBe('ann/model');
  expect(store.events({ types: ['king.crowned'] })).toHaveLength(1);
  expect(store.events({ types: ['evaluation.failed'] })).toEqual([]);
});

type Silent = () => Promise<never>;
let stores = 0;

it.each<[string, (options: ValidatorOptions, silent: Silent) => Partial<ValidatorOptions>]>([
  ['the head of the chain', ({ chain }, head) => ({ chain: overlay(chain, { head }) })],
  ['the commitments', ({ chain }, commitments) => ({ chain: overlay(chain, { commitments }) })],
  ['its own weights', ({ chain }, setWeights) => ({ chain: overlay(chain, { setWeights }) })],
  ['the hub for a listing', ({ hub }, inspect) => ({ hub: { ...hub, inspect } })],
  ['the hub for a file', ({ hub }, download) => ({ hub: { ...hub, download } })],
])('told to stop while it waits for %s, it stops', async (_, change) => {
  const stop = new AbortController();
  const options = test.options('stop', owner, test.store(`stop-${stores++}`), stop.signal);
  let asked = () => {};
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const silent: Silent = () => {
    asked();
    return new Promise(() => {});
  };
  const running = runValidator({ ...options, ...change(options, silent) });
  await Promise.race([isAsked, running]);
  stop.abort();
  await running;
});
