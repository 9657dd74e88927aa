/** @file The event log and opening: idempotency, following, faithful data, damaged and foreign files. */
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import fc from 'fast-check';
import Database from 'libsql';
import { describe, expect, test } from 'vitest';
import { openStore, type Store, type StoredEvent } from './index.ts';

function newPath(): string {
  return join(mkdtempSync(join(tmpdir(), 'quasar-store-')), 'deeper', 'store.sqlite');
}

function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (error instanceof QuasarError) return error.code;
    throw error;
  }
  return 'no error';
}

describe('event log', () => {
  test('property: any history of keyed and unkeyed appends equals the model', () => {
    const appends = fc.array(
      fc.record({
        type: fc.constantFrom('a', 'b'),
        key: fc.option(fc.constantFrom('1', '2', '3'), { nil: undefined }),
        data: fc.jsonValue(),
      }),
      { maxLength: 25 },
    );
    fc.assert(
      fc.property(appends, (history) => {
        const store = openStore({ path: ':memory:', clock: () => 7 });
        const model: StoredEvent[] = [];
        for (const { type, key, data } of history) {
          const { event, duplicate } = store.append(type, data, { key });
          const first = key === undefined ? undefined : model.find((known) => known.type === type && known.key === key);
          expect(duplicate).toBe(first !== undefined);
          if (first !== undefined) expect(event).toEqual(first);
          else {
            const faithful: unknown = JSON.parse(JSON.stringify(data)); // -0 is 0 in JSON
            model.push({ seq: model.length + 1, type, key: key ?? null, atMs: 7, data: faithful });
          }
        }
        expect(store.events()).toEqual(model);
        expect(store.events({ types: ['b'], afterSeq: 3, limit: 2 })).toEqual(
          model.filter((event) => event.type === 'b' && event.seq > 3).slice(0, 2),
        );
        store.close();
      }),
      { numRuns: 60 },
    );
  });

  test('appendAll writes all or none, and counts a key once inside one call', () => {
    const path = newPath();
    const store = openStore({ path });
    expect(
      codeOf(() =>
        store.appendAll([
          { type: 'x', data: 1 },
          { type: 'x', data: Number.NaN },
        ]),
      ),
    ).toBe('store.not_json');
    expect(store.lastSeq()).toBe(0);
    const events = store.appendAll([
      { type: 'x', data: 1, key: 'k' },
      { type: 'x', data: 2, key: 'k' },
      { type: 'y', data: 3, key: 'k' },
    ]);
    expect(events.map((event) => [event.seq, event.data])).toEqual([
      [1, 1],
      [1, 1],
      [2, 3],
    ]);
    store.close();
    const again = openStore({ path });
    expect(again.append('x', 9, { key: 'k' })).toMatchObject({ duplicate: true, event: { seq: 1, data: 1 } });
    expect(again.lastSeq()).toBe(2);
    again.close();
  });

  test.each([
    ['NaN', { kl: Number.NaN }],
    ['infinity', [Number.POSITIVE_INFINITY]],
    ['bigint', 1n],
    ['typed array', { tokens: new Float32Array(2) }],
    ['map', new Map()],
    ['undefined', undefined],
    ['function', () => 1],
  ])('%s is refused, not bent', (_name, data) => {
    const store = openStore({ path: ':memory:' });
    expect(codeOf(() => store.append('x', data))).toBe('store.not_json');
    expect(store.lastSeq()).toBe(0);
    store.close();
  });

  test('follow: past, then own new events, until aborted', async () => {
    const store = openStore({ path: newPath() });
    for (let i = 0; i < 1200; i += 100) {
      store.appendAll(Array.from({ length: 100 }, (_, part) => ({ type: 'n', data: i + part })));
    }
    const abort = new AbortController();
    const seen: unknown[] = [];
    // A poll that would outlast the test: only the wake-up by our own append can deliver the last event.
    for await (const event of store.follow({ afterSeq: 100, signal: abort.signal, pollMs: 3_600_000 })) {
      seen.push(event.data);
      if (event.data === 1199) setImmediate(() => store.append('n', 'live'));
      if (event.data === 'live') abort.abort();
    }
    expect(seen).toEqual([...Array.from({ length: 1100 }, (_, i) => i + 100), 'live']);
    store.close();
  });

  test('follow ends when the store closes or was aborted before', async () => {
    const store = openStore({ path: newPath() });
    const ended = drain(store, new AbortController().signal);
    setImmediate(() => store.close());
    expect(await ended).toBe(0);
    expect(await drain(store, AbortSignal.abort())).toBe(0);
    expect(codeOf(() => store.append('x', 1))).toBe('store.closed');
  });
});

async function drain(store: Store, signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const _ of store.follow({ afterSeq: 0, signal, pollMs: 3_600_000 })) count++;
  return count;
}

describe('opening', () => {
  function filled(): string {
    const path = newPath();
    const store = openStore({ path });
    for (let i = 0; i < 400; i++) store.append('x', { i, padding: 'p'.repeat(100) });
    store.close();
    const checkpoint = new Database(path);
    checkpoint.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    checkpoint.close();
    return path;
  }

  test('no SQLite file, an empty file, a cut file, a flipped page: store.corrupt, and the file stays as it is', () => {
    const garbage = newPath();
    openStore({ path: garbage }).close();
    writeFileSync(garbage, 'not a database, '.repeat(1000));
    const empty = filled();
    truncateSync(empty, 0);
    const cut = filled();
    truncateSync(cut, 8192);
    const flipped = filled();
    const bytes = readFileSync(flipped);
    bytes.fill(0xff, 4096 * 4, 4096 * 8);
    writeFileSync(flipped, bytes);
    for (const path of [garbage, empty, cut, flipped]) {
      for (const side of ['-wal', '-shm']) rmSync(path + side, { force: true });
      const before = readFileSync(path);
      expect(codeOf(() => openStore({ path }))).toBe('store.corrupt');
      expect(readFileSync(path).equals(before)).toBe(true);
    }
  });

  test('a log without its file is damage, not a new store', () => {
    const path = newPath();
    openStore({ path }).close();
    rmSync(path);
    writeFileSync(`${path}-wal`, 'frames');
    expect(codeOf(() => openStore({ path }))).toBe('store.corrupt');
    expect(existsSync(path)).toBe(false);
  });

  test('a newer schema and the file of another program are refused', () => {
    const newer = filled();
    const writer = new Database(newer);
    writer.exec('INSERT INTO schema_version VALUES (999, 0)');
    writer.close();
    expect(codeOf(() => openStore({ path: newer }))).toBe('store.newer_schema');
    const foreign = newPath();
    openStore({ path: foreign }).close();
    rmSync(foreign);
    for (const side of ['-wal', '-shm']) rmSync(foreign + side, { force: true });
    const other = new Database(foreign);
    other.exec('CREATE TABLE recipes (name TEXT)');
    other.close();
    expect(codeOf(() => openStore({ path: foreign }))).toBe('store.foreign_file');
  });

  test('a directory that cannot be made gives store.unopenable', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'quasar-store-')), 'file');
    writeFileSync(file, '');
    expect(codeOf(() => openStore({ path: join(file, 'store.sqlite') }))).toBe('store.unopenable');
  });
});
