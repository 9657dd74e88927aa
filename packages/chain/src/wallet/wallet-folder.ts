/**
 * @file A folder of wallets as the reference lays it out, and making wallets in it.
 *
 *     <name>/coldkey             owns TAO; encrypted
 *     <name>/coldkeypub.txt      its public half
 *     <name>/hotkeys/<hotkey>    signs for a neuron; plain
 *     <name>/hotkeys/<hotkey>pub.txt
 */
import { type Dirent, existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import { type Encryption, encryptionOf, encryptKeyFile } from './encryption/index.ts';
import { invalid, parseAddress } from './key-file.ts';
import type { KeyPair } from './keypair.ts';
import { createSecretFile, readSecretFile } from './secret-file.ts';

export interface KeyEntry {
  name: string;
  path: string;
  /** False: only the public half is here, which can be looked up and cannot sign. */
  hasSecret: boolean;
  /** Null when only the password tells it, or the file is damaged. */
  address: string | null;
  encryption: Encryption | null;
  /** Code and message of what is wrong with the file, or null. */
  problem: { code: string; message: string } | null;
}

export interface WalletEntry {
  name: string;
  /** Null: the wallet has hotkeys only. */
  coldkey: KeyEntry | null;
  hotkeys: KeyEntry[];
}

export class WalletFolder {
  readonly root: string;

  /** @param root default: where the reference keeps wallets, `~/.bittensor/wallets` */
  constructor(root: string = join(homedir(), '.bittensor', 'wallets')) {
    this.root = root;
  }

  coldkey(name: string): string {
    return join(this.root, safe(name), 'coldkey');
  }
  coldkeyPublic(name: string): string {
    return join(this.root, safe(name), 'coldkeypub.txt');
  }
  hotkey(name: string, hotkey = 'default'): string {
    return join(this.root, safe(name), 'hotkeys', safe(hotkey));
  }
  hotkeyPublic(name: string, hotkey = 'default'): string {
    return `${this.hotkey(name, hotkey)}pub.txt`;
  }

  /** Every wallet by name. Damaged files are listed with their problem; no password is asked for, no secret is kept. */
  list(): WalletEntry[] {
    return entries(this.root)
      .filter((entry) => entry.isDirectory() && NAME.test(entry.name))
      .map(({ name }) => {
        return {
          name,
          coldkey: this.hasColdkey(name) ? describe('coldkey', this.coldkey(name), this.coldkeyPublic(name)) : null,
          hotkeys: entries(join(this.root, name, 'hotkeys'))
            .filter((entry) => NAME.test(entry.name) && !/pub\.txt$|\.tmp$/.test(entry.name))
            .map((entry) => describe(entry.name, this.hotkey(name, entry.name), this.hotkeyPublic(name, entry.name))),
        };
      })
      .filter(({ coldkey, hotkeys }) => coldkey !== null || hotkeys.length > 0);
  }

  hasColdkey(name: string): boolean {
    return existsSync(this.coldkey(name)) || existsSync(this.coldkeyPublic(name));
  }

  /** Refuses when a key that would be made is there already; `hotkey` null: the coldkey. @throws chain.wallet_exists */
  requireFree(name: string, hotkey: string | null): void {
    refuseExisting(
      hotkey === null
        ? [this.coldkey(name), this.coldkeyPublic(name)]
        : [this.hotkey(name, hotkey), this.hotkeyPublic(name, hotkey)],
    );
  }

  /** As `coldkeyAddress`, of a hotkey. */
  hotkeyAddress(name: string, hotkey = 'default'): string {
    const path = this.hotkey(name, hotkey);
    return addressOf(this.hotkeyPublic(name, hotkey)) ?? addressOf(path) ?? missing(path);
  }

  /** The address of the coldkey, from its public file or a plain secret one. @throws chain.wallet_missing and others */
  coldkeyAddress(name: string): string {
    return addressOf(this.coldkeyPublic(name)) ?? addressOf(this.coldkey(name)) ?? missing(this.coldkeyPublic(name));
  }

  /** Writes the coldkey encrypted. Takes seconds. @throws chain.wallet_exists, before any work */
  async createColdkey(name: string, keyPair: KeyPair, password: string): Promise<void> {
    this.requireFree(name, null);
    checkPassword(password);
    createPair(
      [this.coldkey(name), this.coldkeyPublic(name)],
      await encryptKeyFile(keyPair.secretFile(), password),
      keyPair,
    );
  }

  /** Writes the hotkey plain, as programs that sign on their own need it, or encrypted under a password. */
  async createHotkey(name: string, hotkey: string, keyPair: KeyPair, password?: string): Promise<void> {
    this.requireFree(name, hotkey);
    const paths = [this.hotkey(name, hotkey), this.hotkeyPublic(name, hotkey)];
    if (password !== undefined) checkPassword(password);
    const text = keyPair.secretFile();
    createPair(paths, password === undefined ? text : await encryptKeyFile(text, password), keyPair);
  }
}

/** @throws chain.password_weak */
export function checkPassword(password: string): void {
  if (password.length >= 8 && new Set(password).size >= 4) return;
  throw new QuasarError('chain.password_weak', 'the password is too easy to guess', {
    hint: 'take at least 8 characters, of 4 kinds or more; longer is better',
  });
}

/** What cannot leave the folder, and what a public file cannot be mistaken for. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

function safe(name: string): string {
  if (NAME.test(name) && !name.endsWith('pub.txt')) return name;
  throw new QuasarError('chain.wallet_name', `not a name for a key: ${JSON.stringify(name.slice(0, 64))}`, {
    hint: 'take up to 64 letters, digits, dots, dashes or underscores; not ending in pub.txt',
  });
}

function describe(name: string, path: string, publicPath: string): KeyEntry {
  try {
    const file = readSecretFile(path);
    const encryption = file === null ? null : encryptionOf(file);
    const isPlain = file !== null && encryption === null;
    const own = isPlain ? parseAddress(file.toString('utf8'), path) : null;
    const address = addressOf(publicPath);
    if (own !== null && address !== null && own !== address) throw invalid(publicPath, `is not of the key in ${path}`);
    return { name, path, hasSecret: file !== null, address: own ?? address, encryption, problem: null };
  } catch (error) {
    if (!(error instanceof QuasarError)) throw error;
    const { code, message } = error;
    return { name, path, hasSecret: true, address: null, encryption: null, problem: { code, message } };
  }
}

/** Null: no file, or an encrypted one. */
function addressOf(path: string): string | null {
  const file = readSecretFile(path);
  return file === null || encryptionOf(file) !== null ? null : parseAddress(file.toString('utf8'), path);
}

function missing(path: string): never {
  throw new QuasarError('chain.wallet_missing', `there is no wallet file ${path}`, {
    hint: '`quasar wallet list` names the wallets there are',
  });
}

function refuseExisting(paths: string[]): void {
  const taken = paths.find((path) => existsSync(path));
  if (taken === undefined) return;
  throw new QuasarError('chain.wallet_exists', `the wallet file ${taken} exists already`, {
    hint: 'nothing was written; choose another name, or move the file away after you made sure that you have its phrase',
  });
}

function createPair([path = '', publicPath = '']: string[], secret: string | Uint8Array, keyPair: KeyPair): void {
  createSecretFile(path, secret);
  createSecretFile(publicPath, keyPair.publicFile());
}

function entries(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? '')) return [];
    throw new QuasarError('chain.wallet_unreadable', `cannot read the folder ${folder}`, {
      hint: 'check that you may read it',
      cause,
    });
  }
}
