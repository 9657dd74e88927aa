/**
 * @file Key files, phrases and secret URIs of the reference wallet package (`bittensor_wallets.py`).
 * The password of an encrypted file is turned into its key in `packages/chain/src/wallet/encryption.slow.test.ts`.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { keyPairFromUri, openKeyFile, openWallet, verifySignature, WalletFolder } from '@quasar/chain';
import { describe, expect, it } from 'vitest';
import { openNacl, sealNacl } from '../../packages/chain/src/wallet/encryption/nacl.ts';
import { parseSecretKey } from '../../packages/chain/src/wallet/key-file.ts';

const folder = new WalletFolder(fileURLToPath(new URL('./vectors/wallets', import.meta.url)));
const vectors = JSON.parse(readFileSync(`${folder.root}/vectors.json`, 'utf8'));
const message = new TextEncoder().encode(vectors.message);
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));

describe('key files', () => {
  it('with a phrase, a seed and a private key alone', () => {
    expect(openWallet(folder.hotkey('reference', 'phrase')).address).toBe(vectors.address);
    expect(openWallet(folder.hotkey('reference', 'seed')).address).toBe(vectors.seedAddress);
    const alice = openWallet(folder.hotkey('reference', 'private'));
    expect(alice.address).toBe('5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY');
  });

  it('are listed, the encrypted coldkey with its public half', () => {
    const reference = folder.list().find(({ name }) => name === 'reference');
    expect(reference?.coldkey).toMatchObject({ address: vectors.address, encryption: 'nacl' });
    expect(reference?.hotkeys.map(({ name, problem }) => [name, problem])).toEqual([
      ['phrase', null],
      ['private', null],
      ['seed', null],
    ]);
  });

  it('are written as theirs are, member by member', () => {
    for (const name of ['phrase', 'seed', 'private']) {
      const path = folder.hotkey('reference', name);
      const text = readFileSync(path, 'utf8');
      expect(JSON.parse(parseSecretKey(text, path).secretFile())).toEqual(JSON.parse(text));
      const publicText = readFileSync(folder.hotkeyPublic('reference', name), 'utf8');
      expect(JSON.parse(parseSecretKey(text, path).publicFile())).toEqual(JSON.parse(publicText));
    }
  });

  it('encrypted today: the box opens with libsodium’s key, and with no other', () => {
    const path = folder.coldkey('reference');
    const file = readFileSync(path);
    const key = bytes(vectors.boxKey);
    const text = Buffer.from(openNacl(file, key) ?? []).toString();
    expect(parseSecretKey(text, path).address).toBe(vectors.address);
    expect(Buffer.from(openNacl(sealNacl(Buffer.from(text), key), key) ?? []).toString()).toBe(text);
    expect(
      openNacl(
        file,
        key.map((byte, i) => (i === 31 ? byte ^ 1 : byte)),
      ),
    ).toBeNull();
    for (const at of [5, 29, 60, file.length - 1]) {
      const damaged = Uint8Array.from(file);
      damaged[at] = (damaged[at] as number) ^ 1;
      expect(openNacl(damaged, key)).toBeNull();
    }
    for (let size = 0; size < file.length; size += 7) expect(openNacl(file.subarray(0, size), key)).toBeNull();
  });

  it('encrypted by Ansible Vault', async () => {
    const path = folder.coldkey('ansible');
    expect((await openKeyFile(path, () => vectors.password)).address).toBe(vectors.address);
    const wrong = openKeyFile(path, () => `${vectors.password} `);
    await expect(wrong).rejects.toMatchObject({ code: 'chain.wallet_password' });
  });
});

it.each(vectors.uris as { uri: string; address: string; signature: string }[])(
  '$uri',
  ({ uri, address, signature }) => {
    const keyPair = keyPairFromUri(uri);
    expect(keyPair.address).toBe(address);
    expect(verifySignature(address, message, bytes(signature))).toBe(true);
    expect(verifySignature(address, message, keyPair.sign(message))).toBe(true);
  },
);

const phraseFiles: Record<string, string>[] = vectors.phrases.map(({ file }: { file: Record<string, string> }) => file);

it.each(phraseFiles)('a phrase: $ss58Address', (file) => {
  const phrase = String(file.secretPhrase);
  expect(JSON.parse(keyPairFromUri(phrase).secretFile())).toEqual(file);
  const untidy = `  ${phrase.toUpperCase().replaceAll(' ', '\n ')} `;
  expect(keyPairFromUri(untidy).address).toBe(file.ss58Address);
});

it.each(['', 'one two', '//', '/', '0x12', '0xzz//a', `${'abandon '.repeat(12)}`, `${vectors.phrase} walk`])(
  'no secret: %j',
  (text) => {
    expect(() => keyPairFromUri(text)).toThrow(expect.objectContaining({ code: 'chain.phrase_invalid' }));
  },
);
