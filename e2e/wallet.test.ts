/** @file `quasar wallet` with the real command: keys are made and imported, never shown where nobody asked, never overwritten. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QUASAR, REPOSITORY } from './support/paths.ts';
import { run } from './support/run.ts';

const { phrase, address } = JSON.parse(
  readFileSync(join(REPOSITORY, 'tests/oracles/vectors/wallets/vectors.json'), 'utf8'),
);
let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'quasar-wallet-verb-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const quasar = (args: string[], input = '') =>
  run(process.execPath, [QUASAR, 'wallet', ...args, '--wallets', join(root, 'w'), '--home', join(root, 'home')], {
    input,
  });

it('imports a hotkey from a line of standard input', async () => {
  const hotkey = ['import', '--name', 'me', '--key', 'hotkey'];
  const made = await quasar([...hotkey, '--json'], `${phrase}\n`);
  expect(made.code, made.stderr).toBe(0);
  expect(JSON.parse(made.stdout)).toEqual({ name: 'me', hotkey: address });
  const again = await quasar(hotkey, `${phrase}\n`);
  expect(again.code).toBe(1);
  expect(again.stderr).toContain('[chain.wallet_exists]');
  for (const text of [made.stdout, made.stderr, again.stderr]) expect(text).not.toContain(phrase.slice(0, 12));
});

it('says what is wrong with a phrase, without a word of it', async () => {
  const cases: [string, string][] = [
    [phrase.replace('drive', 'driwe'), 'position 2'],
    [phrase.replace('walk ', '').split(' ').slice(1).join(' '), '11 words'],
    [phrase.split(' ').toReversed().join(' '), 'checksum'],
    ['', 'no_answer'],
  ];
  const outcomes = cases.map(async ([text, why]) => {
    const { code, stderr } = await quasar(['import', '--name', 'other', '--key', 'hotkey'], `${text}\n`);
    expect(code).not.toBe(0);
    expect(stderr).toContain(why);
    for (const word of text.split(' ').filter((each) => each.length > 4)) expect(stderr).not.toContain(word);
  });
  await Promise.all(outcomes);
});

it('makes a hotkey, and prints its phrase only where that was asked for', async () => {
  const [hidden, asked] = await Promise.all([
    quasar(['new', '--name', 'a', '--key', 'hotkey']),
    quasar(['new', '--name', 'b', '--key', 'hotkey', '--show-phrase', '--words', '15']),
  ]);
  const secrets = (name: string) => JSON.parse(readFileSync(join(root, 'w', name, 'hotkeys', 'default'), 'utf8'));
  expect(hidden.stdout + hidden.stderr).not.toContain(secrets('a').secretPhrase);
  expect(asked.stderr).toContain(secrets('b').secretPhrase);
  expect(secrets('b').secretPhrase.split(' ')).toHaveLength(15);
  expect(asked.stdout).toContain(secrets('b').ss58Address);
  const { stdout } = await quasar(['list']);
  for (const name of ['a', 'b'])
    expect(stdout).toMatch(new RegExp(`^${name} +hotkey default +${secrets(name).ss58Address} +plain$`, 'm'));
  expect(stdout).not.toContain(secrets('a').secretSeed);
});

it('wants a good password for a coldkey, before it writes anything', async () => {
  const { code, stderr } = await quasar(['new', '--name', 'cold', '--key', 'coldkey'], 'short\n');
  expect(code).toBe(1);
  expect(stderr).toContain('[chain.password_weak]');
  expect((await quasar(['show', '--name', 'cold'])).stderr).toContain('[chain.wallet_missing]');
});

/** A terminal of util-linux; its stdin is the keyboard. */
const SCRIPT = '/usr/bin/script';

describe.skipIf(process.platform !== 'linux' || !existsSync(SCRIPT))('at a terminal', () => {
  /** Types each answer when its question stands there. @returns all that was on the screen */
  async function type(args: string[], answers: [question: string, answer: string][]): Promise<string> {
    const line = [
      process.execPath,
      QUASAR,
      'wallet',
      ...args,
      '--wallets',
      join(root, 'w'),
      '--home',
      join(root, 'home'),
    ];
    const child = spawn(SCRIPT, ['-qec', line.map((word) => `'${word}'`).join(' '), '/dev/null'], { cwd: REPOSITORY });
    let screen = '';
    const left = [...answers];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      screen += text;
      const next = left[0];
      if (next === undefined || !screen.endsWith(next[0])) return;
      left.shift();
      child.stdin.write(next[1]);
    });
    await once(child, 'close');
    return screen;
  }

  it('a phrase is not echoed, and can be mended while it is typed', async () => {
    const typed = `${phrase}x\x7f\r`;
    const screen = await type(['import', '--name', 'typed', '--key', 'hotkey'], [['will do): ', typed]]);
    expect(screen).toContain(address);
    for (const word of phrase.split(' ')) expect(screen).not.toContain(word);
  });

  it('Ctrl-C at the question leaves nothing behind', async () => {
    const screen = await type(['import', '--name', 'stopped', '--key', 'hotkey'], [['will do): ', 'bottom\x03']]);
    expect(screen).toContain('[usage.cancelled]');
    expect(screen).not.toContain('bottom');
    expect(existsSync(join(root, 'w', 'stopped'))).toBe(false);
  });

  it('a new password is asked for twice', async () => {
    const answers: [string, string][] = [
      ['coldkey: ', 'a good password\r'],
      ['again: ', 'another password\r'],
    ];
    const screen = await type(['new', '--name', 'twice', '--key', 'coldkey'], answers);
    expect(screen).toContain('[usage.answers_differ]');
    expect(screen).not.toContain('password\r');
    expect(existsSync(join(root, 'w', 'twice'))).toBe(false);
  });
});
