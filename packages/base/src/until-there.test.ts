import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { QuasarError } from './errors.ts';
import { pauseMs, untilThere } from './until-there.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const away = (code = 'chain.unreachable') => new QuasarError(code, 'no answer', { retry: 'later' });

/** Fails with these, one after the other, then answers. */
function asked(...errors: Error[]) {
  const said: string[] = [];
  const ask = async () => {
    const error = errors.shift();
    if (error) throw error;
    return 'there';
  };
  const stop = new AbortController();
  const options = {
    signal: stop.signal,
    onWait: ({ code }: QuasarError) => said.push(code),
    onThere: () => said.push('there'),
  };
  return { ask, options, said, stop };
}

it('asks again, says each reason once, and says when there is an answer', async () => {
  const { ask, options, said } = asked(away(), away(), away('queue.unreachable'));
  const answer = untilThere(ask, options);
  await vi.runAllTimersAsync();
  expect(await answer).toBe('there');
  expect(said).toEqual(['chain.unreachable', 'queue.unreachable', 'there']);
});

it('says nothing of what answers at once', async () => {
  const { ask, options, said } = asked();
  expect(await untilThere(ask, options)).toBe('there');
  expect(said).toEqual([]);
});

it('throws what does not pass by itself', async () => {
  const { ask, options, said } = asked(away(), new QuasarError('chain.wrong_network', 'another'));
  const refused = expect(untilThere(ask, options)).rejects.toMatchObject({ code: 'chain.wrong_network' });
  await vi.runAllTimersAsync();
  await refused;
  expect(said).toEqual(['chain.unreachable']);
  const picky = asked(away('hub.protocol'));
  const isPassing = ({ code }: QuasarError) => code !== 'hub.protocol';
  await expect(untilThere(picky.ask, { ...picky.options, isPassing })).rejects.toMatchObject({ code: 'hub.protocol' });
  const bug = asked(new TypeError('a bug'));
  await expect(untilThere(bug.ask, bug.options)).rejects.toThrow('a bug');
});

it('ends at an abort, in a pause and while nobody answers', async () => {
  const { options, stop } = asked();
  const silent = untilThere(() => new Promise<never>(() => {}), options);
  const pausing = untilThere(() => Promise.reject(away()), options);
  await new Promise((resolve) => setImmediate(resolve));
  stop.abort(new Error('stopped'));
  await expect(silent).rejects.toThrow('stopped');
  await expect(pausing).rejects.toThrow('stopped');
  await expect(untilThere(() => Promise.resolve(1), options)).rejects.toThrow('stopped');
});

it('pauses grow and are bounded', () => {
  expect([0, 1, 2, 5, 6, 7, 1000].map(pauseMs)).toEqual([500, 1000, 2000, 16_000, 30_000, 30_000, 30_000]);
});
