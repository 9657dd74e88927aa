/**
 * @file What every driver of the job queue promises, as one suite: in one process, and with workers in processes of
 * their own that are killed, stopped and given a wrong clock.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { QuasarError } from '@quasar/base';
import { beforeAll, describe, expect, type TestContext, test } from 'vitest';
import type { JobOutcome, JobQueue, WorkOptions } from '../job-queue.ts';
import { MAX_BLOB_BYTES, MAX_JSON_BYTES, MAX_LOST_LEASES } from '../job-queue.ts';
import { openJobQueue } from '../open.ts';

const PACKAGE = fileURLToPath(new URL('../../..', import.meta.url));

/** Long enough that a worker under load keeps its lease, short enough to wait for when it dies. */
export const LEASE_MS = 400;

/** What a test opens is closed when it ends; its context says when, as several run at the same time. */
type Test = Pick<TestContext, 'onTestFinished'>;

/** @param newUrl The address of a queue that nobody has used. */
export function describeQueueContract(driver: string, newUrl: () => Promise<string>): void {
  /** Workers in other processes run plain Node on `dist`, so `dist` has to be the sources under test. */
  beforeAll(() => {
    execFileSync(process.execPath, [join(PACKAGE, '../../node_modules/typescript/bin/tsc'), '-b', PACKAGE]);
  }, 120_000);

  const open = async (url: string, t: Test): Promise<JobQueue> => {
    const queue = await openJobQueue(url);
    t.onTestFinished(() => queue.close());
    return queue;
  };
  const openNew = async (t: Test) => open(await newUrl(), t);

  describe(`${driver}: jobs`, () => {
    test('a job is added once, whatever its state, and outcomes tell where each one stands', async (t) => {
      const queue = await openNew(t);
      await queue.add([
        { kind: 'a', key: 'k', payload: 1 },
        { kind: 'a', key: 'k', payload: 2 },
        { kind: 'b', key: 'k', payload: 3 },
      ]);
      const queued = { state: 'queued', attempt: 0, result: null, error: null };
      expect(await queue.outcomes('a', ['k', 'never added'])).toEqual(new Map([['k', queued]]));
      const seen: unknown[] = [];
      await workUntil(queue, { kinds: ['a'], handler: async (job) => seen.push(job) && { got: job.payload } }, 'a', [
        'k',
      ]);
      await queue.add([{ kind: 'a', key: 'k', payload: 4 }]);
      expect(seen).toEqual([{ kind: 'a', key: 'k', payload: 1, attempt: 1 }]);
      expect(await queue.outcomes('a', ['k'])).toEqual(
        new Map([['k', { state: 'done', attempt: 1, result: { got: 1 }, error: null }]]),
      );
      expect(await queue.outcomes('b', ['k'])).toEqual(new Map([['k', queued]]));
      expect(await queue.outcomes('a', [])).toEqual(new Map());
    });

    test('jobs come oldest first, only of the asked kinds, and never more at a time than asked', async (t) => {
      const queue = await openNew(t);
      const keys = Array.from({ length: 7 }, (_, i) => `j${i}`);
      await queue.add(keys.map((key, i) => ({ kind: i === 3 ? 'other' : 'work', key, payload: { i } })));
      const order: string[] = [];
      let running = 0;
      let most = 0;
      const mine = keys.filter((key) => key !== 'j3');
      await workUntil(
        queue,
        {
          kinds: ['work', 'unknown'],
          concurrency: 2,
          handler: async ({ key }) => {
            order.push(key);
            most = Math.max(most, ++running);
            await sleep(5);
            running--;
          },
        },
        'work',
        mine,
      );
      expect(order).toEqual(mine);
      expect(most).toBe(2);
      expect((await queue.outcomes('other', ['j3'])).get('j3')?.state).toBe('queued');
    });

    test('an error fails the job for good; with retry "later" the job comes back with the next attempt', async (t) => {
      const queue = await openNew(t);
      const keys = ['later', 'never', 'plain', 'not json', 'too large', 'nothing'];
      await queue.add(keys.map((key) => ({ kind: 'work', key, payload: null })));
      const handler: WorkOptions['handler'] = async ({ key, attempt }) => {
        if (key === 'later' && attempt === 1)
          throw new QuasarError('hub.unreachable', 'no answer', { retry: 'later', hint: 'wait' });
        if (key === 'later') {
          // While it runs again, the reason for its return is still told.
          return (await queue.outcomes('work', ['later'])).get('later');
        }
        if (key === 'never') throw new QuasarError('config.layers', 'no such layer', { hint: 'look' });
        if (key === 'plain') throw new TypeError('x is undefined');
        if (key === 'not json') return { value: Number.NaN };
        if (key === 'too large') return 'x'.repeat(MAX_JSON_BYTES);
        return undefined;
      };
      const outcomes = await workUntil(queue, { kinds: ['work'], concurrency: 3, handler }, 'work', keys);
      const failed = (error: object) => ({ state: 'failed', attempt: 1, result: null, error });
      expect(outcomes.get('never')).toEqual(failed({ code: 'config.layers', message: 'no such layer', hint: 'look' }));
      expect(outcomes.get('plain')).toEqual(failed({ code: 'queue.handler', message: 'x is undefined' }));
      expect(outcomes.get('not json')?.error?.code).toBe('store.not_json');
      expect(outcomes.get('too large')?.error?.code).toBe('queue.too_large');
      expect(outcomes.get('nothing')).toEqual({ state: 'done', attempt: 1, result: null, error: null });
      const error = { code: 'hub.unreachable', message: 'no answer', hint: 'wait' };
      expect(outcomes.get('later')).toEqual({
        state: 'done',
        attempt: 2,
        result: { state: 'running', attempt: 2, result: null, error },
        error: null,
      });
    });

    test('names and payloads that would not survive are refused, and then nothing was added', async (t) => {
      const queue = await openNew(t);
      const good = { kind: 'work', key: 'good', payload: null };
      for (const [bad, code] of [
        [{ ...good, key: '' }, 'queue.bad_name'],
        [{ ...good, key: 'a\u0000b' }, 'queue.bad_name'],
        [{ ...good, kind: '\ud800' }, 'queue.bad_name'],
        [{ ...good, key: 'x'.repeat(501) }, 'queue.bad_name'],
        [{ ...good, key: 'nan', payload: Number.NaN }, 'store.not_json'],
        [{ ...good, key: 'large', payload: 'x'.repeat(MAX_JSON_BYTES) }, 'queue.too_large'],
      ] as const) {
        await expect(queue.add([good, bad])).rejects.toMatchObject({ code });
      }
      await expect(queue.forget('')).rejects.toMatchObject({ code: 'queue.bad_name' });
      expect(await queue.outcomes('work', ['good'])).toEqual(new Map());
      const odd = { text: 'a\u0000b \ud800 ä 𝄞 " \\ \'', deep: [[{ a: null }]], large: 2 ** 53 - 1, small: -1e-300 };
      await queue.add([{ kind: "k'k", key: "%_'\\ ä𝄞", payload: odd }]);
      const outcomes = await workUntil(queue, { kinds: ["k'k"], handler: async ({ payload }) => payload }, "k'k", [
        "%_'\\ ä𝄞",
      ]);
      expect(outcomes.get("%_'\\ ä𝄞")?.result).toEqual(odd);
    });

    test('forget takes a round with its results and blobs, and nothing else', async (t) => {
      const queue = await openNew(t);
      const keys = ['round/1/a', 'round/1/b', 'round/10/a', 'round/%', 'round_1'];
      await queue.add(keys.map((key) => ({ kind: 'work', key, payload: null })));
      await workUntil(queue, { kinds: ['work'], handler: async () => 1 }, 'work', ['round/1/a']);
      const [both, old, young] = [1, 2, 3].map((byte) => new Uint8Array(100).fill(byte));
      const hashes = [
        await queue.putBlob(both!, 'round/1'),
        await queue.putBlob(both!, 'round/10'),
        await queue.putBlob(old!, 'round/1/traces'),
        await queue.putBlob(young!, 'round/10'),
      ];
      await queue.forget('round/1/');
      expect([...(await queue.outcomes('work', keys)).keys()].sort()).toEqual(['round/%', 'round/10/a', 'round_1']);
      expect(await queue.getBlob(hashes[2]!)).toBeNull();
      expect(await queue.getBlob(hashes[0]!)).toEqual(both);
      await queue.forget('round/1');
      expect([...(await queue.outcomes('work', keys)).keys()].sort()).toEqual(['round/%', 'round_1']);
      expect(await queue.getBlob(hashes[3]!)).toBeNull();
      // Forgotten is as if never added.
      await queue.add([{ kind: 'work', key: 'round/1/a', payload: null }]);
      expect((await queue.outcomes('work', ['round/1/a'])).get('round/1/a')?.state).toBe('queued');
    });

    test('blobs come back bit for bit, are kept once, and have a limit', async (t) => {
      const queue = await openNew(t);
      const bytes = new Uint8Array(5_000_000);
      for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 2654435761) >>> 13;
      const view = bytes.subarray(1, 4_999_999);
      const sha256 = await queue.putBlob(view, 'round/1');
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(await queue.putBlob(view, 'round/1')).toBe(sha256);
      const back = (await queue.getBlob(sha256)) as Uint8Array;
      expect(Buffer.compare(back, view)).toBe(0);
      expect(await queue.getBlob('0'.repeat(64))).toBeNull();
      const empty = await queue.putBlob(new Uint8Array(0), 'round/1');
      expect(await queue.getBlob(empty)).toHaveLength(0);
      await expect(queue.putBlob(new Uint8Array(MAX_BLOB_BYTES + 1), 't')).rejects.toMatchObject({
        code: 'queue.too_large',
      });
    });

    test('changed() misses nothing that happens after it was called, from this handle or another', async (t) => {
      const url = await newUrl();
      const [mine, theirs] = [await open(url, t), await open(url, t)];
      const never = new AbortController().signal;
      const own = mine.changed({ timeoutMs: 60_000, signal: never });
      await mine.add([{ kind: 'work', key: 'own', payload: null }]);
      await own;
      const others = mine.changed({ timeoutMs: 60_000, signal: never });
      await theirs.add([{ kind: 'work', key: 'others', payload: null }]);
      await others;
      // A validator's loop: waits for results that a worker behind another handle makes.
      const stop = new AbortController();
      const work = theirs.work({ kinds: ['work'], signal: stop.signal, handler: async () => sleep(10) });
      const outcomes = await finished(mine, 'work', ['own', 'others']);
      expect([...outcomes.values()].map(({ state }) => state)).toEqual(['done', 'done']);
      const forgotten = mine.changed({ timeoutMs: 60_000, signal: never });
      await theirs.forget('own');
      await forgotten;
      stop.abort();
      await work;
      await mine.changed({ timeoutMs: 1, signal: never });
      const abort = new AbortController();
      const aborted = mine.changed({ timeoutMs: 60_000, signal: abort.signal });
      abort.abort();
      await aborted;
      await mine.changed({ timeoutMs: 60_000, signal: abort.signal });
    });
  });

  describe.concurrent(`${driver}: leases`, () => {
    test('a graceful stop stores what finishes and gives back the rest at once', async (t) => {
      const queue = await openNew(t);
      await queue.add(['finishes', 'gives back', 'not begun'].map((key) => ({ kind: 'work', key, payload: null })));
      const stop = new AbortController();
      const begun: string[] = [];
      await queue.work({
        kinds: ['work'],
        leaseMs: 60_000,
        concurrency: 2,
        signal: stop.signal,
        handler: async ({ key }, { signal }) => {
          if (begun.push(key) === 2) stop.abort();
          await aborted(signal);
          if (key === 'gives back') throw new Error('stopped');
          return 'finished';
        },
      });
      expect(begun).toEqual(['finishes', 'gives back']);
      const outcomes = await queue.outcomes('work', ['finishes', 'gives back', 'not begun']);
      expect(outcomes.get('finishes')).toMatchObject({ state: 'done', result: 'finished' });
      expect(outcomes.get('gives back')).toEqual({ state: 'queued', attempt: 1, result: null, error: null });
      expect(outcomes.get('not begun')).toMatchObject({ state: 'queued', attempt: 0 });
      // Given back at once, not after the lease of a minute; and a job in its pause goes back as well.
      const again = new AbortController();
      await queue.work({
        kinds: ['work'],
        signal: again.signal,
        handler: async ({ key, attempt }) => {
          again.abort();
          expect([key, attempt]).toEqual(['gives back', 2]);
        },
      });
    });

    test('a forgotten job aborts its handler, and its result is dropped', async (t) => {
      const queue = await openNew(t);
      await queue.add([{ kind: 'work', key: 'k', payload: null }]);
      const stop = new AbortController();
      await queue.work({
        kinds: ['work'],
        leaseMs: LEASE_MS,
        signal: stop.signal,
        handler: async (_, { signal }) => {
          await queue.forget('k');
          await aborted(signal);
          stop.abort();
          return 'too late';
        },
      });
      expect(await queue.outcomes('work', ['k'])).toEqual(new Map());
    });

    test('a lease lives through many heartbeats while another worker waits for work', async (t) => {
      const queue = await openNew(t);
      await queue.add([{ kind: 'work', key: 'long', payload: null }]);
      let runs = 0;
      const handler = async () => {
        runs++;
        await sleep(4 * LEASE_MS);
        return 'done';
      };
      const outcomes = await workUntil(queue, { kinds: ['work'], leaseMs: LEASE_MS, concurrency: 2, handler }, 'work', [
        'long',
      ]);
      expect([runs, outcomes.get('long')]).toEqual([1, { state: 'done', attempt: 1, result: 'done', error: null }]);
    });

    // Alone, for it stops the heartbeats of every test in this process.
    test.sequential('a worker that was slow, but that nobody replaced, keeps its job', async (t) => {
      const queue = await openNew(t);
      await queue.add([{ kind: 'work', key: 'k', payload: null }]);
      const handler = async () => {
        const until = performance.now() + 2 * LEASE_MS;
        while (performance.now() < until); // no heartbeat can be sent meanwhile
        return 'late';
      };
      const outcomes = await workUntil(queue, { kinds: ['work'], leaseMs: LEASE_MS, handler }, 'work', ['k']);
      expect(outcomes.get('k')).toEqual({ state: 'done', attempt: 1, result: 'late', error: null });
    });

    test('a queue that cannot be used ends the work with its error', async () => {
      const url = await newUrl();
      const queue = await openJobQueue(url);
      const work = queue.work({
        kinds: ['work'],
        leaseMs: LEASE_MS,
        signal: new AbortController().signal,
        handler: async () => 1,
      });
      const failure = expect(work).rejects.toMatchObject({ code: 'store.closed' });
      await queue.close();
      await failure;
    });
  });

  describe(`${driver}: processes`, () => {
    test('several workers share the jobs; one that is killed costs nobody anything but its job', async (t) => {
      const url = await newUrl();
      const queue = await open(url, t);
      const keys = Array.from({ length: 60 }, (_, i) => `job/${i}`);
      await queue.add(keys.map((key, i) => ({ kind: 'work', key, payload: { i } })));
      const script = `await work({ leaseMs: 1000, concurrency: 2, handler: async ({ key, payload, attempt }) => {
        if (key === 'job/20' && attempt === 1) { say('holding'); await forever(); }
        await sleep(5);
        return { square: payload.i ** 2 };
      } });`;
      const workers = [1, 2, 3].map(() => startWorker(t, url, script));
      await Promise.race(
        workers.map(async (worker) => {
          await worker.said('holding');
          await worker.kill('SIGKILL');
        }),
      );
      const outcomes = await finished(queue, 'work', keys);
      expect(outcomes.get('job/20')?.attempt).toBeGreaterThan(1);
      expect(keys.map((key) => outcomes.get(key)?.result)).toEqual(keys.map((_, i) => ({ square: i ** 2 })));
    });

    test('a worker that is stopped loses its job, is told so when it wakes, and its result is not stored', async (t) => {
      const url = await newUrl();
      const queue = await open(url, t);
      await queue.add([{ kind: 'work', key: 'k', payload: null }]);
      const sleeper = startWorker(
        t,
        url,
        `await work({ handler: async (job, { signal }) => {
          say('begun'); await aborted(signal); say('lost'); return 'of the sleeper'; } });`,
      );
      await sleeper.said('begun');
      sleeper.child.kill('SIGSTOP');
      const outcomes = await workUntil(
        queue,
        { kinds: ['work'], leaseMs: LEASE_MS, handler: async ({ attempt }) => `attempt ${attempt}` },
        'work',
        ['k'],
      );
      sleeper.child.kill('SIGCONT');
      await sleeper.said('lost');
      expect(await sleeper.kill('SIGTERM')).toBe(0);
      expect(outcomes.get('k')).toEqual({ state: 'done', attempt: 2, result: 'attempt 2', error: null });
      expect((await queue.outcomes('work', ['k'])).get('k')).toEqual(outcomes.get('k'));
    });

    test('SIGTERM lets a worker finish its job and end', async (t) => {
      const url = await newUrl();
      const queue = await open(url, t);
      await queue.add(['first', 'second'].map((key) => ({ kind: 'work', key, payload: null })));
      const worker = startWorker(
        t,
        url,
        `await work({ handler: async () => { say('begun'); await sleep(300); return 'finished'; } });`,
      );
      await worker.said('begun');
      expect(await worker.kill('SIGTERM')).toBe(0);
      const outcomes = await queue.outcomes('work', ['first', 'second']);
      expect(outcomes.get('first')).toMatchObject({ state: 'done', attempt: 1 });
      expect(outcomes.get('second')).toMatchObject({ state: 'queued', attempt: 0 });
    });

    test('a worker whose clock is wrong by an hour steals nothing and blocks nothing', async (t) => {
      const url = await newUrl();
      const queue = await open(url, t);
      await queue.add(['fast', 'slow'].map((kind) => ({ kind, key: 'k', payload: null })));
      const [ahead, behind] = [
        { kind: 'fast', hours: 1 },
        { kind: 'slow', hours: -1 },
      ].map(({ kind, hours }) =>
        startWorker(
          t,
          url,
          `const now = Date.now;
          Date.now = () => now() + ${hours} * 3_600_000;
          await work({ kinds: ['${kind}'], leaseMs: 1000, handler: async () => { say('begun'); await forever(); } });`,
        ),
      ) as [WorkerProcess, WorkerProcess];
      await Promise.all([ahead.said('begun'), behind.said('begun')]);
      // Both keep their jobs against a third worker with the right time, and against each other...
      const stop = new AbortController();
      const taken: string[] = [];
      const work = queue.work({
        kinds: ['fast', 'slow'],
        leaseMs: LEASE_MS,
        signal: stop.signal,
        handler: async ({ kind }) => taken.push(kind),
      });
      await sleep(1300);
      expect(taken).toEqual([]);
      // ...and lose them like anybody else when they die.
      await Promise.all([ahead.kill('SIGKILL'), behind.kill('SIGKILL')]);
      for (const kind of ['fast', 'slow']) {
        expect((await finished(queue, kind, ['k'])).get('k')).toMatchObject({ state: 'done', attempt: 2 });
      }
      stop.abort();
      await work;
    });

    test('a job that kills its worker is given up after some workers, not after all', async (t) => {
      const url = await newUrl();
      const queue = await open(url, t);
      await queue.add(['poison', 'sound'].map((key) => ({ kind: 'work', key, payload: null })));
      const script = `await work({ leaseMs: 200, handler: async ({ key }) => {
        if (key === 'poison') process.kill(process.pid, 'SIGKILL');
        return 'survived';
      } });`;
      for (let i = 0; i < MAX_LOST_LEASES + 1; i++) startWorker(t, url, script);
      const outcomes = await finished(queue, 'work', ['poison', 'sound']);
      expect(outcomes.get('poison')).toMatchObject({
        state: 'failed',
        attempt: MAX_LOST_LEASES,
        error: { code: 'queue.poison' },
      });
      expect(outcomes.get('sound')).toMatchObject({ state: 'done', result: 'survived' });
    });
  });
}

/** Works until these jobs are done or failed, then stops. */
export async function workUntil(
  queue: JobQueue,
  options: Omit<WorkOptions, 'signal'>,
  kind: string,
  keys: readonly string[],
): Promise<Map<string, JobOutcome>> {
  const stop = new AbortController();
  const work = queue.work({ ...options, signal: stop.signal });
  const outcomes = await Promise.race([
    finished(queue, kind, keys),
    work.then(() => Promise.reject(new Error('stopped'))),
  ]);
  stop.abort();
  await work;
  return outcomes;
}

/** The outcomes once all of them are final. */
export async function finished(
  queue: JobQueue,
  kind: string,
  keys: readonly string[],
): Promise<Map<string, JobOutcome>> {
  for (;;) {
    const looked = new AbortController();
    const change = queue.changed({ timeoutMs: 60_000, signal: looked.signal });
    const outcomes = await queue.outcomes(kind, keys);
    if (keys.every((key) => ['done', 'failed'].includes(outcomes.get(key)?.state ?? ''))) {
      looked.abort();
      return outcomes;
    }
    await change;
  }
}

type WorkerProcess = ReturnType<typeof startWorker>;

/** A process of its own that runs `script` with `queue`, `work` (stopped by SIGTERM), `say`, `sleep`, `aborted`, `forever`. */
export function startWorker(t: Test, url: string, script: string) {
  const head = `import { openJobQueue } from ${JSON.stringify(`file://${PACKAGE}dist/index.js`)};
    import { setTimeout as sleep } from 'node:timers/promises';
    const stop = new AbortController();
    process.once('SIGTERM', () => stop.abort());
    const queue = await openJobQueue(process.env.QUEUE_URL);
    const work = (options) => queue.work({ kinds: ['work'], leaseMs: ${LEASE_MS}, signal: stop.signal, ...options });
    const say = (line) => process.stdout.write(line + '\\n');
    const aborted = (signal) => new Promise((resolve) => { if (signal.aborted) resolve(); else signal.addEventListener('abort', resolve); });
    const forever = () => new Promise(() => {});\n`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', `${head}${script}\nawait queue.close();`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, QUEUE_URL: url },
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const lines = createInterface({ input: child.stdout });
  const kill = (signal: 'SIGKILL' | 'SIGTERM') => {
    child.kill(signal);
    return exited;
  };
  t.onTestFinished(async () => {
    await kill('SIGKILL');
  });
  const spoken: string[] = [];
  lines.on('line', (line) => spoken.push(line));
  const said = async (line: string) => {
    while (!spoken.includes(line)) await once(lines, 'line');
  };
  return { child, exited, kill, said };
}

function aborted(signal: AbortSignal): Promise<unknown> {
  return signal.aborted ? Promise.resolve() : once(signal, 'abort');
}
