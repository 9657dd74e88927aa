import { expect, it } from 'vitest';
import { Turnstile } from './turnstile.ts';

const never = new AbortController().signal;

it('lets in at most maxRunning, in order, and refuses when the queue is full', async () => {
  const turnstile = new Turnstile({ maxRunning: 1, maxWaiting: 2 });
  const order: string[] = [];
  const note = async (name: string) => {
    const leave = await turnstile.enter(never);
    order.push(name);
    return leave;
  };
  const leaveFirst = await turnstile.enter(never);
  const second = note('second');
  const third = note('third');
  await expect(turnstile.enter(never)).rejects.toMatchObject({ status: 429, detail: { code: 'server_busy' } });
  expect(order).toEqual([]);
  leaveFirst();
  (await second)();
  (await third)();
  expect(order).toEqual(['second', 'third']);
  expect([turnstile.running, turnstile.waiting]).toEqual([0, 0]);
});

it('forgets a waiting one that leaves', async () => {
  const turnstile = new Turnstile({ maxRunning: 1, maxWaiting: 1 });
  const leave = await turnstile.enter(never);
  const gone = new AbortController();
  const waiting = turnstile.enter(gone.signal);
  gone.abort(new Error('gone'));
  await expect(waiting).rejects.toThrow('gone');
  const next = turnstile.enter(never);
  leave();
  (await next)();
  expect(turnstile.running).toBe(0);
});

it('does not let in one who has already left', async () => {
  const turnstile = new Turnstile({ maxRunning: 1, maxWaiting: 1 });
  await expect(turnstile.enter(AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  expect(turnstile.running).toBe(0);
});
