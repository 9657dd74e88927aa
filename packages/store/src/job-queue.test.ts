/** @file The job queue against its model: leases, lost leases, retries. */
import { expect, test } from 'vitest';
import { openStore } from './index.ts';

function newQueue() {
  const clock = { ms: 1000 };
  const store = openStore({ path: ':memory:', clock: () => clock.ms });
  return { jobs: store.jobs, clock };
}

test('a key is taken once per kind; jobs come out oldest first and only of the asked kinds', () => {
  const { jobs } = newQueue();
  expect([jobs.add('a', 'k', 1), jobs.add('a', 'k', 2), jobs.add('b', 'k', 3), jobs.add('a', 'l', 4)]).toEqual([
    true,
    false,
    true,
    true,
  ]);
  expect(jobs.lease(['a'], 10)).toMatchObject({ kind: 'a', key: 'k', payload: 1, attempt: 1 });
  expect(jobs.lease(['a', 'b'], 10)).toMatchObject({ kind: 'b', payload: 3 });
  expect(jobs.lease([], 10)).toBeNull();
  expect(jobs.lease(['c'], 10)).toBeNull();
  expect(jobs.lease(['a'], 10)).toMatchObject({ key: 'l' });
  expect(jobs.lease(['a', 'b'], 10)).toBeNull();
});

test('a heartbeat keeps the lease; after it ran out another worker gets the job and the first is told so', () => {
  const { jobs, clock } = newQueue();
  jobs.add('a', 'k', null);
  const first = jobs.lease(['a'], 100)!;
  clock.ms += 90;
  expect(jobs.heartbeat(first, 100)).toBe(true);
  clock.ms += 90;
  expect(jobs.lease(['a'], 100)).toBeNull();
  clock.ms += 10;
  const second = jobs.lease(['a'], 100)!;
  expect(second).toMatchObject({ id: first.id, attempt: 2 });
  expect(jobs.heartbeat(first, 100)).toBe(false);
  expect(jobs.complete(first, 'stale')).toBe(false);
  expect(jobs.fail(first, { code: 'x.y', message: 'm' })).toBe(false);
  expect(jobs.result('a', 'k')).toEqual({ state: 'leased', attempt: 2, result: null, error: null });
  expect(jobs.complete(second, { value: 1 })).toBe(true);
  expect(jobs.complete(second, { value: 2 })).toBe(false);
  expect(jobs.result('a', 'k')).toEqual({ state: 'done', attempt: 2, result: { value: 1 }, error: null });
  expect(jobs.add('a', 'k', null)).toBe(false);
});

test('a lease that ran out but was not taken over still counts: no work is thrown away', () => {
  const { jobs, clock } = newQueue();
  jobs.add('a', 'k', null);
  const job = jobs.lease(['a'], 100)!;
  clock.ms += 1000;
  expect(jobs.complete(job, 'late')).toBe(true);
  expect(jobs.result('a', 'k')).toMatchObject({ state: 'done', result: 'late' });
});

test('a failure waits for its retry time, keeps its error, and without a retry time is final', () => {
  const { jobs, clock } = newQueue();
  jobs.add('a', 'k', null);
  const error = { code: 'hub.unreachable', message: 'no answer', hint: 'wait' };
  expect(jobs.fail(jobs.lease(['a'], 100)!, error, { retryAtMs: clock.ms + 50 })).toBe(true);
  expect(jobs.result('a', 'k')).toEqual({ state: 'queued', attempt: 1, result: null, error });
  expect(jobs.lease(['a'], 100)).toBeNull();
  clock.ms += 50;
  const second = jobs.lease(['a'], 100)!;
  expect(second.attempt).toBe(2);
  expect(jobs.fail(second, error)).toBe(true);
  clock.ms += 1_000_000;
  expect(jobs.lease(['a'], 100)).toBeNull();
  expect(jobs.result('a', 'k')).toEqual({ state: 'failed', attempt: 2, result: null, error });
  expect(jobs.result('a', 'unknown')).toBeNull();
});
