/** @file Hotkey files, addresses and signatures. The vectors are Substrate's public development keys. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { QuasarError } from '@quasar/base';
import { afterAll, describe, expect, it } from 'vitest';
import { ss58Decode, ss58Encode } from '../ss58.ts';
import { verifySignature, walletFromSeed } from './keypair.ts';
import { openKeyFile, openWallet } from './open-wallet.ts';
import { writeSecretOnce } from './secret-file.ts';

const ALICE = {
  secretSeed: '0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a',
  publicKey: '0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d',
  ss58Address: '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY',
};
/** The same secret as schnorrkel and as polkadot-js write it. */
const NONCE = '925a225d97aa00682d6a59b95b18780c10d7032336e88f3442b42361f4a66011';
const ALICE_SCHNORRKEL = `0x33a6f3093f158a7109f679410bef1a0c54168145e0cecb4df006c1c2fffb1f09${NONCE}`;
const ALICE_ED25519 = `0x98319d4ff8a9508c4bb0cf0b5a78d760a0b2082c02775e6e82370816fedfff48${NONCE}`;

const directory = mkdtempSync(join(tmpdir(), 'quasar-wallet-'));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
function fileWith(content: string | object): string {
  const path = join(directory, `hotkey-${files++}`);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

function failure(act: () => unknown): QuasarError {
  try {
    act();
  } catch (error) {
    if (error instanceof QuasarError) return error;
    throw error;
  }
  return expect.unreachable('expected an error');
}

describe('ss58', () => {
  it('agrees with the public vectors', () => {
    expect(ss58Encode(Buffer.from(ALICE.publicKey.slice(2), 'hex'))).toBe(ALICE.ss58Address);
    expect(Buffer.from(ss58Decode(ALICE.ss58Address)).toString('hex')).toBe(ALICE.publicKey.slice(2));
  });

  it('refuses typing errors, other prefixes and other lengths', () => {
    const bad = [
      '',
      'hello',
      ALICE.ss58Address.replace('w', 'v'),
      ALICE.ss58Address.slice(1),
      `${ALICE.ss58Address}0`,
      '15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5',
      '5'.repeat(10_000),
    ];
    for (const address of bad) expect(failure(() => ss58Decode(address)).code).toBe('chain.address_invalid');
  });
});

describe('openWallet', () => {
  it('creates a private file once and opens the same key again', () => {
    const path = join(directory, 'deep', 'down', 'hotkey');
    const created = openWallet(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(openWallet(path).hotkey).toBe(created.hotkey);
    const file = JSON.parse(readFileSync(path, 'utf8'));
    expect(file.ss58Address).toBe(created.hotkey);
    for (const only of ['secretPhrase', 'secretSeed', 'privateKey']) {
      expect(openWallet(fileWith({ [only]: file[only] })).hotkey).toBe(created.hotkey);
    }
  });

  it('never writes over a file that appeared meanwhile', () => {
    const path = fileWith(ALICE);
    writeSecretOnce(path, 'lost the race');
    expect(openWallet(path).hotkey).toBe(ALICE.ss58Address);
  });

  it('reads Bittensor hotkey files', () => {
    const variants = [
      ALICE,
      { ...ALICE, secretPhrase: 'some words', privateKey: ALICE_SCHNORRKEL },
      { secretSeed: ALICE.secretSeed.slice(2) },
      { privateKey: ALICE_SCHNORRKEL },
      { privateKey: ALICE_SCHNORRKEL, ss58Address: ALICE.ss58Address },
      { privateKey: ALICE_ED25519, accountId: ALICE.publicKey },
    ];
    for (const file of variants) expect(openWallet(fileWith(file)).hotkey).toBe(ALICE.ss58Address);
  });

  it('refuses what it cannot use, without quoting it', () => {
    const secret = ALICE.secretSeed.slice(2);
    const cases: [string | object, string][] = [
      ['', 'chain.wallet_invalid'],
      [`{"secretSeed": ${secret}`, 'chain.wallet_invalid'],
      [`"${secret}"`, 'chain.wallet_invalid'],
      [[secret], 'chain.wallet_invalid'],
      [{ secretSeed: `${secret}00` }, 'chain.wallet_invalid'],
      [{ privateKey: secret }, 'chain.wallet_invalid'],
      [{ secretSeed: secret, ss58Address: walletFromSeed(new Uint8Array(32)).hotkey }, 'chain.wallet_invalid'],
      [{ secretSeed: secret, ss58Address: 'x' }, 'chain.wallet_invalid'],
      [{ secretSeed: secret, publicKey: 5 }, 'chain.wallet_invalid'],
      [{ secretPhrase: `${secret} `.repeat(12) }, 'chain.wallet_invalid'],
      [{ secretPhrase: 'abandon '.repeat(12), secretSeed: 5 }, 'chain.wallet_invalid'],
      [{ ...ALICE, publicKey: `0x${'11'.repeat(32)}` }, 'chain.wallet_invalid'],
      [{ ...ALICE, cryptoType: 0 }, 'chain.wallet_unsupported'],
      [`{"a": "${secret}", "b": ${'['.repeat(60_000)}`, 'chain.wallet_invalid'],
      [`${JSON.stringify(ALICE)}${' '.repeat(70_000)}`, 'chain.wallet_unreadable'],
      [{ ss58Address: ALICE.ss58Address }, 'chain.wallet_unsupported'],
      [`$NACL${secret}`, 'chain.wallet_encrypted'],
      [`$ANSIBLE_VAULT;1.1;AES256\n${secret}`, 'chain.wallet_encrypted'],
      [`gAAAAA${secret}`, 'chain.wallet_encrypted'],
    ];
    for (const [content, code] of cases) {
      const error = failure(() => openWallet(fileWith(content)));
      expect(error.code, JSON.stringify(content)).toBe(code);
      expect(inspect(error, { depth: 10 })).not.toContain(secret.slice(0, 16));
    }
    expect(failure(() => openWallet(join(fileWith('a file'), 'hotkey'))).code).toMatch(/^chain\.wallet_un/);
  });

  it('opens regular files only, and never waits', () => {
    const link = join(directory, 'link');
    symlinkSync(fileWith(ALICE), link);
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    for (const path of [directory, link, pipe, '/dev/zero']) {
      expect(failure(() => openWallet(path)).code, path).toBe('chain.wallet_unreadable');
    }
  });

  it('shows nothing but the address', () => {
    const wallet = openWallet(fileWith(ALICE));
    expect(JSON.stringify(wallet)).toBe(JSON.stringify({ address: ALICE.ss58Address, hotkey: ALICE.ss58Address }));
    expect(inspect(wallet, { depth: 10, showHidden: true })).not.toMatch(/e5be9a|33a6f3|98319d|secret/i);
  });
});

describe('openKeyFile', () => {
  const codeOf = (opened: Promise<unknown>) =>
    opened.then(
      () => expect.unreachable(),
      (error) => error.code,
    );
  const password = () => 'secret';

  it('makes no file, and wants a password for encrypted ones only', async () => {
    const none = join(directory, 'none');
    expect(await codeOf(openKeyFile(none, password))).toBe('chain.wallet_missing');
    expect(await codeOf(openKeyFile(none))).toBe('chain.wallet_missing');
    expect((await openKeyFile(fileWith(ALICE), () => expect.unreachable())).address).toBe(ALICE.ss58Address);
    expect(await codeOf(openKeyFile(fileWith(`$NACL${'x'.repeat(100)}`)))).toBe('chain.wallet_encrypted');
  });

  it('refuses a damaged encrypted file before any work', async () => {
    const vault = '$ANSIBLE_VAULT;1.1;AES256\n';
    const damaged = [
      '$NACL',
      `$NACL${'x'.repeat(40)}`,
      `${vault}zz`,
      `${vault}3132`,
      '$ANSIBLE_VAULT;9',
      'gAAAAA',
      'gAAAAA!!',
    ];
    for (const content of damaged) {
      expect(await codeOf(openKeyFile(fileWith(content), password)), content).toBe('chain.wallet_invalid');
    }
    expect(await codeOf(openKeyFile(fileWith(`$NACL${'x'.repeat(100)}`), () => ''))).toBe('chain.wallet_password');
  });
});

describe('signatures', () => {
  it('verify for the signer and the message only', async () => {
    const wallet = walletFromSeed(Buffer.from(ALICE.secretSeed.slice(2), 'hex'));
    const message = new TextEncoder().encode('message');
    const signature = await wallet.sign(message);
    expect(signature).toHaveLength(64);
    expect(verifySignature(wallet.hotkey, message, signature)).toBe(true);
    expect(verifySignature(wallet.hotkey, new TextEncoder().encode('massage'), signature)).toBe(false);
    expect(verifySignature(walletFromSeed(new Uint8Array(32)).hotkey, message, signature)).toBe(false);
    expect(verifySignature('nobody', message, signature)).toBe(false);
    expect(verifySignature(wallet.hotkey, message, new Uint8Array(3))).toBe(false);
  });
});
