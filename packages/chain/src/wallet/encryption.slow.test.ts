/** @file Passwords of encrypted key files, with all their rounds: seconds each. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { naclKey } from './encryption/nacl.ts';
import { KeyPair } from './keypair.ts';
import { openKeyFile } from './open-wallet.ts';
import { newPhrase } from './phrase.ts';
import { WalletFolder } from './wallet-folder.ts';

const reference = new WalletFolder(
  fileURLToPath(new URL('../../../../tests/oracles/vectors/wallets', import.meta.url)),
);
const vectors = JSON.parse(readFileSync(join(reference.root, 'vectors.json'), 'utf8'));
const directory = mkdtempSync(join(tmpdir(), 'quasar-encryption-'));
afterAll(() => rmSync(directory, { recursive: true }));

it('the key of a box is libsodium’s', async () => {
  expect(Buffer.from(await naclKey(vectors.password)).toString('hex')).toBe(vectors.boxKey);
});

it.each(['reference', 'fernet'])('opens the coldkey of %s', async (name) => {
  expect((await openKeyFile(reference.coldkey(name), () => vectors.password)).address).toBe(vectors.address);
});

it('says when the password is another one, without the password', async () => {
  const error = await openKeyFile(reference.coldkey('reference'), () => 'tr0ub4dor&3').then(
    () => null,
    (e) => e,
  );
  expect(error.code).toBe('chain.wallet_password');
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('tr0ub4dor');
});

it('what it writes it opens', async () => {
  const folder = new WalletFolder(directory);
  const keyPair = KeyPair.fromPhrase(newPhrase(24));
  await folder.createColdkey('me', keyPair, 'correct horse');
  expect(statSync(folder.coldkey('me')).mode & 0o777).toBe(0o600);
  expect((await openKeyFile(folder.coldkey('me'), () => 'correct horse')).address).toBe(keyPair.address);
  expect(folder.list()[0]?.coldkey).toMatchObject({ address: keyPair.address, encryption: 'nacl' });
});
