/** @file Opening key files: plain ones at once, encrypted ones with their password. */
import { QuasarError } from '@quasar/base';
import type { Wallet } from '../port.ts';
import { decryptKeyFile, encryptionOf } from './encryption/index.ts';
import { parseSecretKey } from './key-file.ts';
import { KeyPair } from './keypair.ts';
import { newPhrase } from './phrase.ts';
import { readSecretFile, writeSecretOnce } from './secret-file.ts';

/**
 * Opens the plain hotkey file at `path`, or creates it (mode 0600, never over an existing file).
 * Throws `chain.wallet_invalid`, `chain.wallet_encrypted`, `chain.wallet_unsupported`, `chain.wallet_unreadable`.
 */
export function openWallet(path: string): Wallet {
  const file = readSecretFile(path);
  if (file !== null) return parsePlain(file, path);
  writeSecretOnce(path, KeyPair.fromPhrase(newPhrase()).secretFile());
  return parsePlain(readSecretFile(path) ?? Buffer.alloc(0), path);
}

/**
 * Opens a key file that exists. `password` is asked for only when the file is encrypted, which takes seconds.
 * @throws chain.wallet_missing and the codes of `openWallet` and `decryptKeyFile`
 */
export async function openKeyFile(path: string, password?: () => string | Promise<string>): Promise<Wallet> {
  const file = readSecretFile(path);
  if (file === null) {
    throw new QuasarError('chain.wallet_missing', `there is no wallet file ${path}`, {
      hint: '`quasar wallet list` names the wallets there are',
    });
  }
  if (encryptionOf(file) === null || password === undefined) return parsePlain(file, path);
  return parseSecretKey(await decryptKeyFile(file, await password(), path), path);
}

function parsePlain(file: Buffer, path: string): KeyPair {
  if (encryptionOf(file) === null) return parseSecretKey(file.toString('utf8'), path);
  throw new QuasarError('chain.wallet_encrypted', `the wallet file ${path} is encrypted`, {
    hint: 'give its password, or use a plain hotkey file',
  });
}
