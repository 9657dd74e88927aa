/** @file Which encryption a key file has, and its contents under a password. */
import { QuasarError } from '@quasar/base';
import { invalid } from '../key-file.ts';
import { ANSIBLE_MARK, openVault, parseVault } from './ansible-vault.ts';
import { FERNET_MARK, openToken, parseToken } from './fernet.ts';
import { isNaclWhole, NACL_MARK, naclKey, openNacl, sealNacl } from './nacl.ts';

export type Encryption = 'nacl' | 'ansible-vault' | 'fernet';

const MARKS: [mark: string, encryption: Encryption][] = [
  [NACL_MARK, 'nacl'],
  [ANSIBLE_MARK, 'ansible-vault'],
  [FERNET_MARK, 'fernet'],
];

/** Null: not encrypted. */
export function encryptionOf(file: Uint8Array): Encryption | null {
  const start = Buffer.from(file.subarray(0, 16)).toString('latin1');
  return MARKS.find(([mark]) => start.startsWith(mark))?.[1] ?? null;
}

/**
 * The plain contents of an encrypted file. Takes seconds.
 * @throws chain.wallet_invalid for a file that no password can open, before any work
 * @throws chain.wallet_password, chain.wallet_memory
 */
export async function decryptKeyFile(file: Uint8Array, password: string, path: string): Promise<string> {
  const content = password === '' ? null : await open(file, password, path);
  if (content !== null) return Buffer.from(content).toString('utf8');
  throw new QuasarError('chain.wallet_password', `the password does not open the wallet file ${path}`, {
    hint: 'type it again; when you are sure of it the file is damaged: restore it, or import its phrase',
  });
}

async function open(file: Uint8Array, password: string, path: string): Promise<Uint8Array | null> {
  switch (encryptionOf(file)) {
    case 'nacl':
      if (!isNaclWhole(file)) throw invalid(path, 'is encrypted and cut short');
      return openNacl(file, await naclKey(password));
    case 'ansible-vault': {
      const vault = parseVault(file);
      if (vault === null) throw invalid(path, 'begins like an Ansible Vault and is damaged');
      return openVault(vault, password);
    }
    case 'fernet': {
      const token = parseToken(file);
      if (token === null) throw invalid(path, 'begins like a Fernet token and is damaged');
      return openToken(token, password);
    }
    default:
      throw invalid(path, 'is not encrypted');
  }
}

/** A file that this and the reference open with the password. Takes seconds and 512 MiB. @throws chain.wallet_memory */
export async function encryptKeyFile(content: string, password: string): Promise<Uint8Array> {
  return sealNacl(new TextEncoder().encode(content), await naclKey(password));
}
