/** @file Folders of wallets: what is listed, what is written, and what never happens to a file that is there. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { KeyPair } from './keypair.ts';
import { newPhrase } from './phrase.ts';
import { WalletFolder } from './wallet-folder.ts';

const root = mkdtempSync(join(tmpdir(), 'quasar-wallets-'));
afterAll(() => rmSync(root, { recursive: true }));

let folder: WalletFolder;
let folders = 0;
beforeEach(() => {
  folder = new WalletFolder(join(root, `wallets-${folders++}`));
});

const codeOf = (act: Promise<unknown>) =>
  act.then(
    () => expect.unreachable(),
    (error) => error.code,
  );

it('has nothing in it before it exists', () => {
  expect(folder.list()).toEqual([]);
});

it('writes a hotkey and its public half, for the owner alone', async () => {
  const keyPair = KeyPair.fromPhrase(newPhrase());
  await folder.createHotkey('me', 'first', keyPair);
  const path = folder.hotkey('me', 'first');
  for (const file of [path, folder.hotkeyPublic('me', 'first')]) expect(statSync(file).mode & 0o777).toBe(0o600);
  for (const made of [folder.root, join(folder.root, 'me', 'hotkeys')]) expect(statSync(made).mode & 0o777).toBe(0o700);
  expect(readFileSync(folder.hotkeyPublic('me', 'first'), 'utf8')).not.toContain('ecret');
  expect(folder.list()).toEqual([
    {
      name: 'me',
      coldkey: null,
      hotkeys: [{ name: 'first', path, hasSecret: true, address: keyPair.address, encryption: null, problem: null }],
    },
  ]);
});

it('leaves a file that is there as it is', async () => {
  const [one, two] = [KeyPair.fromPhrase(newPhrase()), KeyPair.fromPhrase(newPhrase())];
  await folder.createHotkey('me', 'default', one);
  const before = readFileSync(folder.hotkey('me'), 'utf8');
  expect(await codeOf(folder.createHotkey('me', 'default', two))).toBe('chain.wallet_exists');
  expect(readFileSync(folder.hotkey('me'), 'utf8')).toBe(before);
  writeFileSync(folder.coldkeyPublic('me'), one.publicFile());
  expect(await codeOf(folder.createColdkey('me', two, 'a good password'))).toBe('chain.wallet_exists');
});

it('wants a password that takes a while to guess, before it writes anything', async () => {
  const keyPair = KeyPair.fromPhrase(newPhrase());
  for (const password of ['', 'short', 'aaaaaaaaaaaa']) {
    expect(await codeOf(folder.createColdkey('me', keyPair, password))).toBe('chain.password_weak');
  }
  expect(folder.list()).toEqual([]);
});

it('keeps names inside the folder', () => {
  for (const name of ['', '.', '..', '../x', 'a/b', '.ssh', 'a\0b', 'x'.repeat(65), 'keypub.txt']) {
    expect(() => folder.hotkey('me', name), name).toThrow(expect.objectContaining({ code: 'chain.wallet_name' }));
    expect(() => folder.coldkey(`${name}/..`), name).toThrow(expect.objectContaining({ code: 'chain.wallet_name' }));
  }
});

it('lists what it can of a folder where not everything is well', async () => {
  const keyPair = KeyPair.fromPhrase(newPhrase());
  await folder.createHotkey('good', 'default', keyPair);
  mkdirSync(join(folder.root, 'watched'));
  writeFileSync(folder.coldkeyPublic('watched'), keyPair.publicFile());
  mkdirSync(join(folder.root, 'odd', 'hotkeys', 'folder'), { recursive: true });
  writeFileSync(join(folder.root, 'odd', 'hotkeys', 'broken'), '{"secretSeed": "0x12');
  writeFileSync(folder.coldkey('odd'), '$NACL of somebody');
  writeFileSync(join(folder.root, 'a file'), '');
  const listed = folder.list();
  expect(listed.map(({ name }) => name)).toEqual(['good', 'odd', 'watched']);
  const [, odd, watched] = listed;
  expect(odd?.coldkey).toMatchObject({ address: null, encryption: 'nacl', problem: null });
  expect(odd?.hotkeys.map(({ name, problem }) => [name, problem?.code])).toEqual([
    ['broken', 'chain.wallet_invalid'],
    ['folder', 'chain.wallet_unreadable'],
  ]);
  expect(watched?.coldkey).toMatchObject({ hasSecret: false, address: keyPair.address });
  expect(folder.coldkeyAddress('watched')).toBe(keyPair.address);
  expect(JSON.stringify(listed)).not.toContain('0x12');
});
