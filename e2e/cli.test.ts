/** @file The command line as a user meets it: help, wrong flags, busy ports, bad values; nothing is left behind. */
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QUASAR } from './support/paths.ts';
import { quasar, run } from './support/run.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quasar-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Exit code 2, nothing on stdout, exactly one line on stderr; returns the line. */
async function refused(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await quasar(...args);
  expect({ code, stdout, lines: stderr.split('\n').length }).toEqual({ code: 2, stdout: '', lines: 2 });
  return stderr.trim();
}

describe('help', () => {
  it('lists every verb', async () => {
    const { code, stdout } = await quasar('--help');
    expect(code).toBe(0);
    for (const verb of ['up', 'doctor', 'miner', 'validator', 'serve', 'chain', 'hub', 'model', 'check']) {
      expect(stdout).toMatch(new RegExp(`^  ${verb}\\b`, 'm'));
    }
  });

  it('works as `npx quasar` from the root of the repository', async () => {
    const { code, stdout } = await run('npx', ['--no-install', 'quasar', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('Usage: quasar');
  });
});

describe('wrong use is one clear line and exit code 2', () => {
  it('unknown flag', async () => {
    expect(await refused('up', '--ronds', '3')).toBe(
      "quasar: unknown option '--ronds'; did you mean --rounds? [usage.unknown_option]",
    );
  });

  it('unknown verb', async () => {
    expect(await refused('doctr')).toBe(
      "quasar: unknown command 'doctr'; did you mean doctor? [usage.unknown_command]",
    );
  });

  it('a value that is no number', async () => {
    expect(await refused('chain', 'run', '--port', '70000')).toBe(
      "quasar: option '--port <number>' argument '70000' is invalid. Expected a whole number from 1 to 65535.; " +
        'see `quasar --help` [usage.invalid_argument]',
    );
  });

  it('the same as JSON', async () => {
    const { code, stdout, stderr } = await quasar('doctor', 'now', '--json');
    expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'usage.excess_arguments' } });
  });

  it.each([
    ['chain', 'run', '--port'],
    ['hub', 'run', '--port'],
    ['up', '--port'],
  ])('a busy port: %s %s %s', async (...verb) => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    const home = join(folder, 'busy');
    try {
      expect(await refused(...verb, String(port), '--home', home)).toBe(
        `quasar: --port ${port}: the port is in use; choose another one, or leave the flag out and a free one is found ` +
          '[usage.port_busy]',
      );
    } finally {
      taken.close();
    }
    expect(existsSync(home)).toBe(false);
  });
});

describe('--data is checked before anything starts', () => {
  const cases: [string, (path: string) => void, string][] = [
    ['a path that is not there', () => {}, 'data.unreadable'],
    ['an empty file', (path) => writeFileSync(path, ' \n'), 'data.too_short'],
    ['bytes that are no text', (path) => writeFileSync(path, Uint8Array.of(0xff, 0xfe, 0x00)), 'data.not_text'],
  ];
  it.each(cases)('%s', async (_, make, code) => {
    const path = join(folder, 'text.txt');
    rmSync(path, { force: true });
    make(path);
    const home = join(folder, 'data-home');
    const line = await refused('up', '--data', path, '--home', home);
    expect(line).toContain(path);
    expect(line).toContain(`[${code}]`);
    expect(existsSync(home)).toBe(false);
  });

  it('a folder without text', async () => {
    const path = mkdtempSync(join(folder, 'empty-'));
    expect(await refused('up', '--data', path, '--home', join(folder, 'data-home'))).toContain('[data.no_text]');
    expect(readdirSync(path)).toEqual([]);
  });
});

describe('--config', () => {
  const write = (value: unknown) => {
    const path = join(folder, 'config.json');
    writeFileSync(path, JSON.stringify(value));
    return path;
  };

  it('sets options that the command line leaves out', async () => {
    const home = join(folder, 'from-config');
    const { stdout } = await quasar('doctor', '--config', write({ home, json: true }));
    expect(JSON.parse(stdout).home.path).toBe(home);
  });

  it('refuses names it does not know', async () => {
    expect(await refused('up', '--config', write({ up: { ronds: 3 } }))).toContain('up has no option "ronds"');
  });
});

it('doctor names device, threads, instruction set, compiler and what is missing', async () => {
  const { code, stdout } = await quasar('doctor', '--json');
  expect(code).toBe(0);
  const report = JSON.parse(stdout);
  expect(['native', 'wasm', 'reference']).toContain(report.device);
  expect(report.why).not.toBe('');
  expect(report.threads).toBeGreaterThan(0);
  expect(report.isa).not.toBe('');
  expect(report).toHaveProperty('compiler');
  expect(report.missing).toBeInstanceOf(Array);
});

it('doctor tries a job queue, and shows no password', async () => {
  const path = join(folder, 'queue.sqlite');
  const works = await quasar('doctor', '--json', '--queue', path);
  expect(JSON.parse(works.stdout).queue).toMatchObject({ address: path, works: true, error: null });
  const away = await quasar('doctor', '--json', '--queue', 'postgres://me:s3cret@127.0.0.1:1/db?schema=sn24');
  expect(away.code).toBe(0);
  expect(JSON.parse(away.stdout).queue).toMatchObject({
    address: 'postgres://me@127.0.0.1:1/db?schema=sn24',
    works: false,
    error: { code: 'queue.unreachable' },
  });
  expect(away.stdout + away.stderr).not.toContain('s3cret');
  const unknown = await quasar('doctor', '--queue', 'mysql://me:s3cret@host/db');
  expect(unknown.stderr).toContain('an address of mysql:, which has no driver');
  expect(unknown.stdout + unknown.stderr).not.toContain('s3cret');
});

it('another device can be asked for', async () => {
  const asked = await quasar('doctor', '--json', '--device', 'reference');
  expect(JSON.parse(asked.stdout)).toMatchObject({ device: 'reference', why: 'QUASAR_DEVICE asks for it' });
  expect(await refused('doctor', '--device', 'gpu')).toContain('Allowed choices are auto, native, wasm, reference.');
});

it('an unbuilt checkout says what to run', async () => {
  const copy = join(folder, 'bin', 'quasar.mjs');
  cpSync(QUASAR, copy);
  const { code, stderr } = await run(process.execPath, [copy]);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: 'quasar: not built yet: run `npm start` or `npm test` once in the repository root\n',
  });
});
