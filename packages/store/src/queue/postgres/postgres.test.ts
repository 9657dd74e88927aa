/** @file The Postgres driver keeps the contract of the job queue, and what only a server on a network can get wrong. */
import { inspect } from 'node:util';
import { QuasarError } from '@quasar/base';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JobOutcome } from '../job-queue.ts';
import { openJobQueue } from '../open.ts';
import { skipWithoutPostgres, startPostgres, type ThrowawayPostgres } from '../testing/postgres.ts';
import { describeQueueContract, finished, LEASE_MS, startWorker, workUntil } from '../testing/queue-contract.ts';

let server: ThrowawayPostgres;
let schemas = 0;
const newUrl = async () => `${server.url}?schema=contract_${++schemas}`;

describe.skipIf(skipWithoutPostgres())('Postgres', () => {
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.stop());

  describeQueueContract('Postgres', newUrl);

  test('the server is killed in the middle of 200 jobs: nothing is lost, four workers come back by themselves', async (t) => {
    const url = await newUrl();
    const queue = await openJobQueue(url);
    const keys = Array.from({ length: 200 }, (_, i) => `round/1/${i}`);
    await queue.add(keys.map((key, i) => ({ kind: 'work', key, payload: { i } })));
    const script = `await work({ leaseMs: 2000, concurrency: 2, handler: async ({ key, payload }) => {
      await sleep(10);
      return { sum: payload.i + 1, blob: await queue.putBlob(Buffer.from(key), 'round/1') };
    } });`;
    const workers = [1, 2, 3, 4].map(() => startWorker(t, url, script));
    await finished(queue, 'work', keys.slice(0, 60));
    const before = await queue.outcomes('work', keys);
    await server.kill();
    await server.start();
    const outcomes = await finished(queue, 'work', keys);
    const blobs: string[] = [];
    for (const [i, key] of keys.entries()) {
      const outcome = outcomes.get(key) as JobOutcome<{ sum: number; blob: string }>;
      expect([outcome.state, outcome.result?.sum]).toEqual(['done', i + 1]);
      blobs.push(outcome.result?.blob ?? '');
      // What was stored before the crash is what is there now.
      if (before.get(key)?.state === 'done') expect(outcome).toEqual(before.get(key));
    }
    const bytes = await Promise.all(blobs.map((blob) => queue.getBlob(blob)));
    expect(bytes.map((blob) => blob && Buffer.from(blob).toString())).toEqual(keys);
    expect(await Promise.all(workers.map((worker) => worker.kill('SIGTERM')))).toEqual([0, 0, 0, 0]);
    await queue.close();
  }, 60_000);

  test('while the server is away a worker keeps its job, and a stop still ends it', async () => {
    const url = await newUrl();
    const queue = await openJobQueue(url);
    await queue.add(['kept', 'given up'].map((key) => ({ kind: 'work', key, payload: null })));
    const stop = new AbortController();
    const work = queue.work({
      kinds: ['work'],
      leaseMs: LEASE_MS,
      signal: stop.signal,
      handler: async ({ key }) => {
        // A result is stored while the next job begins.
        if (key === 'given up') await finished(queue, 'work', ['kept']);
        await server.kill();
        if (key === 'kept') await server.start();
        else stop.abort();
        return key;
      },
    });
    await work;
    await expect(openJobQueue(url)).rejects.toMatchObject({ code: 'queue.unreachable', retry: 'later' });
    await server.start();
    const outcomes = await queue.outcomes('work', ['kept', 'given up']);
    expect(outcomes.get('kept')).toEqual({ state: 'done', attempt: 1, result: 'kept', error: null });
    expect(outcomes.get('given up')).toMatchObject({ state: 'running', attempt: 1 });
    await workUntil(queue, { kinds: ['work'], leaseMs: LEASE_MS, handler: async () => 1 }, 'work', ['given up']);
    await queue.close();
  }, 60_000);

  test('queues of different schemas share a database and nothing else', async () => {
    const [one, other] = [await openJobQueue(await newUrl()), await openJobQueue(await newUrl())];
    for (const [queue, payload] of [
      [one, 1],
      [other, 2],
    ] as const) {
      await queue.add([{ kind: 'work', key: 'k', payload }]);
    }
    const blob = await one.putBlob(Uint8Array.of(1), 'k');
    expect(await other.getBlob(blob)).toBeNull();
    const outcomes = await workUntil(one, { kinds: ['work'], handler: async ({ payload }) => payload }, 'work', ['k']);
    expect(outcomes.get('k')?.result).toBe(1);
    expect((await other.outcomes('work', ['k'])).get('k')?.state).toBe('queued');
    await other.forget('k');
    expect(await one.outcomes('work', ['k'])).toEqual(outcomes);
    await Promise.all([one.close(), other.close()]);
  });

  test('several that open a new queue at once all find its tables whole; tables of a newer program are refused', async () => {
    const url = await newUrl();
    const queues = await Promise.all(Array.from({ length: 8 }, () => openJobQueue(url)));
    await Promise.all(queues.map((queue, i) => queue.add([{ kind: 'work', key: `k${i}`, payload: i }])));
    expect((await queues[0]!.outcomes('work', ['k0', 'k7'])).size).toBe(2);
    await Promise.all(queues.map((queue) => queue.close()));
    await sql(server.url, `INSERT INTO ${new URL(url).searchParams.get('schema')}.schema_version VALUES (1000)`);
    await expect(openJobQueue(url)).rejects.toMatchObject({ code: 'store.newer_schema' });
  });

  test('an evaluator needs no more privileges than the documented ones, and without them is told so', async () => {
    const url = await newUrl();
    const schema = new URL(url).searchParams.get('schema');
    await (await openJobQueue(url)).close();
    const asEvaluator = new URL(url);
    [asEvaluator.username, asEvaluator.password] = ['evaluator', 'secret'];
    await sql(server.url, `CREATE ROLE evaluator LOGIN PASSWORD 'secret'`);
    await expect(openJobQueue(asEvaluator.href)).rejects.toMatchObject({ code: 'queue.privilege' });
    await sql(
      server.url,
      `GRANT USAGE ON SCHEMA ${schema} TO evaluator;
       GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO evaluator`,
    );
    const queue = await openJobQueue(asEvaluator.href);
    await queue.add([{ kind: 'work', key: 'k', payload: null }]);
    await workUntil(queue, { kinds: ['work'], handler: () => queue.putBlob(Uint8Array.of(1), 'k') }, 'work', ['k']);
    await queue.forget('k');
    await queue.close();
  });

  test('a password is in no error', async () => {
    const password = 'p4ssw0rd%C3%A4';
    const wrong = new URL(await newUrl());
    wrong.password = password;
    const closed = new URL(wrong);
    closed.port = '1';
    const missing = new URL(wrong);
    missing.hostname = 'no-such-host.invalid';
    for (const [url, code] of [
      [wrong.href, 'queue.login'],
      [closed.href, 'queue.unreachable'],
      [missing.href, 'queue.unreachable'],
      [`${wrong.href}-Capital`, 'queue.bad_url'],
      [`postgres://user:${password}@ho st/x`, 'queue.bad_url'],
      [`postgres://user:${password}@[::1/x`, 'queue.bad_url'],
      [`mysql://user:${password}@host/x`, 'queue.bad_url'],
    ] as const) {
      const error: unknown = await openJobQueue(url).catch((caught) => caught);
      expect(error).toBeInstanceOf(QuasarError);
      expect((error as QuasarError).code).toBe(code);
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('p4ssw0rd');
    }
  });
});

async function sql(url: string, text: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(text);
  await client.end();
}
