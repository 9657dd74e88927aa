/** @file Several real processes on one file: following, crashing in the middle of a burst. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { openStore } from './index.ts';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));

/** Children run plain Node on `dist`, so `dist` has to be the sources under test. */
beforeAll(() => {
  execFileSync(process.execPath, [join(PACKAGE, '../../node_modules/typescript/bin/tsc'), '-b', PACKAGE]);
}, 60_000);

function newPath(): string {
  return join(mkdtempSync(join(tmpdir(), 'quasar-store-')), 'store.sqlite');
}

function run(path: string, script: string) {
  const head = `import { openStore } from ${JSON.stringify(`file://${PACKAGE}dist/index.js`)};
    const store = openStore({ path: ${JSON.stringify(path)} });
    const say = (value) => process.stdout.write(JSON.stringify(value) + '\\n');\n`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', head + script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { child, exited, lines: createInterface({ input: child.stdout }) };
}

test('a follower sees every event of two other processes, in one order without gaps', async () => {
  const path = newPath();
  const store = openStore({ path });
  const abort = new AbortController();
  const writers = ['a', 'b'].map((name) =>
    run(path, `for (let i = 0; i < 150; i++) store.append('from.${name}', { i });`),
  );
  const seen: { seq: number; type: string; data: unknown }[] = [];
  for await (const event of store.follow({ afterSeq: 0, signal: abort.signal, pollMs: 5 })) {
    seen.push(event);
    if (seen.length === 300) abort.abort();
  }
  expect(seen.map((event) => event.seq)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  for (const name of ['a', 'b']) {
    const own = seen.filter((event) => event.type === `from.${name}`).map((event) => event.data);
    expect(own).toEqual(Array.from({ length: 150 }, (_, i) => ({ i })));
  }
  expect(await Promise.all(writers.map((writer) => writer.exited))).toEqual([0, 0]);
  store.close();
});

test('SIGKILL in a burst: every acknowledged event is there, and no transaction is half there', async () => {
  const path = newPath();
  for (let round = 0; round < 3; round++) {
    const { child, lines, exited } = run(
      path,
      `for (let i = 0; ; i++) {
         const events = Array.from({ length: 7 }, (_, part) => ({ type: 'burst', key: '${round}/' + i + '/' + part, data: { i, part } }));
         say(store.appendAll(events).at(-1).seq);
       }`,
    );
    let acknowledged = 0;
    for await (const line of lines) {
      acknowledged = JSON.parse(line) as number;
      if (acknowledged >= (round + 1) * 140) child.kill('SIGKILL');
    }
    await exited;
    const store = openStore({ path });
    const events = store.events();
    expect(acknowledged).toBeGreaterThan(0);
    expect(store.lastSeq()).toBeGreaterThanOrEqual(acknowledged);
    expect(events.map((event) => event.seq)).toEqual(events.map((_, i) => i + 1));
    expect(events.length % 7).toBe(0);
    store.close();
  }
});

test('four processes that make the same file at once all get it whole', async () => {
  const path = newPath();
  const openers = Array.from({ length: 4 }, (_, i) => run(path, `store.append('opened', ${i}); store.close();`));
  expect(await Promise.all(openers.map((opener) => opener.exited))).toEqual([0, 0, 0, 0]);
  const store = openStore({ path });
  expect(store.events().map((event) => event.data)).toHaveLength(4);
  store.close();
  expect(readdirSync(dirname(path)).filter((name) => name.includes('.new'))).toEqual([]);
});
