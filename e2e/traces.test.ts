/** @file `quasar traces`: made, killed and made to the end, described, checked, shared over a hub. */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serveHub } from '@quasar/hub';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { QUASAR, REPOSITORY } from './support/paths.ts';
import { quasar } from './support/run.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'quasar-traces-'));
});
afterAll(() => rmSync(root, { recursive: true }));

const at = (name: string) => join(root, name);
const make = (out: string, ...more: string[]) => [
  ...['traces', 'make', '--teacher', join(REPOSITORY, 'assets/teacher'), '--out', at(out)],
  ...['--count', '160', '--tokens', '12', '--top-k', '32', ...more],
];
const traceFilesOf = (name: string) =>
  existsSync(at(name)) ? readdirSync(at(name)).filter((file) => file.endsWith('.traces')) : [];
const bytesOf = (name: string) =>
  Object.fromEntries(traceFilesOf(name).map((file) => [file, readFileSync(join(at(name), file)).toString('base64')]));

it('a run killed after its first file ends with the files of one that was not', async () => {
  const whole = await quasar(...make('whole'), '--json');
  expect(whole.code, whole.stderr).toBe(0);
  expect(JSON.parse(whole.stdout)).toMatchObject({ found: 0, made: 160, tokens: 160 * 12 });
  expect(traceFilesOf('whole')).toHaveLength(3);

  const child = spawn(process.execPath, [QUASAR, ...make('killed')], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.on('close', (_, signal) => resolve(signal)));
  while (traceFilesOf('killed').length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill('SIGKILL');
  expect(await ended).toBe('SIGKILL');
  expect(traceFilesOf('killed').length).toBeLessThan(3);
  const again = await quasar(...make('killed'), '--json');
  expect(JSON.parse(again.stdout).found).toBeGreaterThan(0);
  expect(bytesOf('killed')).toEqual(bytesOf('whole'));
});

it('info says what there is, and check that it is sound', async () => {
  const info = JSON.parse((await quasar('traces', 'info', at('whole'), '--json')).stdout);
  expect(info).toMatchObject({ files: 3, traces: 160, tokens: 160 * 12, kind: { k: 32, precision: 'f16' } });
  expect(info.meanTail).toBeGreaterThan(0);
  expect(info.meanTail).toBeLessThan(0.5);
  expect(info.bytesPerToken).toBeLessThan(200);
  expect((await quasar('traces', 'check', at('whole'))).stdout).toBe('OK: 160 traces in 3 files\n');

  cpSync(at('whole'), at('damaged'), { recursive: true });
  const file = join(at('damaged'), traceFilesOf('damaged')[0]!);
  const bytes = readFileSync(file);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(file, bytes);
  const damaged = await quasar('traces', 'check', at('damaged'));
  expect([damaged.code, damaged.stderr]).toEqual([1, expect.stringContaining('[infer.bad_trace_file]')]);
});

it('traces of a text, judged instead of continued, and others of one folder refused', async () => {
  const data = join(REPOSITORY, 'README.md');
  const given = await quasar(...make('given', '--given', '--data', data, '--prompt-tokens', '30', '--count', '8'));
  expect(given.code, given.stderr).toBe(0);
  const info = JSON.parse((await quasar('traces', 'info', at('given'), '--json')).stdout);
  expect(info).toMatchObject({ traces: 8, promptTokens: 8 * 30, tokens: 8 * 12 });
  const other = await quasar(...make('given', '--top-k', '16'));
  expect([other.code, other.stderr]).toEqual([1, expect.stringContaining('[infer.traces_differ]')]);
  const none = await quasar('traces', 'make', '--out', at('none'));
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('[usage.no_teacher]')]);
});

it('one miner publishes, another imports', async () => {
  const hub = await serveHub({ directory: at('hub'), port: 0 });
  const home = ['--home', at('home'), '--hub', hub.url, '--json'];
  try {
    const published = await quasar('traces', 'publish', at('whole'), '--to', 'ann/traces', ...home);
    expect(published.code, published.stderr).toBe(0);
    const { repo, revision } = JSON.parse(published.stdout);
    expect([repo, revision]).toEqual(['datasets/ann/traces', expect.stringMatching(/^[0-9a-f]{40}$/)]);
    for (const name of [repo, `${repo}@${revision}`]) {
      const imported = await quasar('traces', 'import', name, '--out', at('imported'), ...home);
      expect(imported.code, imported.stderr).toBe(0);
    }
    expect(bytesOf('imported')).toEqual(bytesOf('whole'));
    const missing = await quasar('traces', 'import', 'datasets/ann/none', '--out', at('imported'), ...home);
    expect([missing.code, missing.stderr + missing.stdout]).toEqual([1, expect.stringContaining('infer.no_traces')]);
  } finally {
    await hub.close();
  }
});
