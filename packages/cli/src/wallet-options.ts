/**
 * @file Which keys a verb signs with. On the local net these are the plain hotkeys of the home, made when they are missing;
 * on any other network a wallet in Bittensor's own layout, whose secrets are read by a process of their own.
 */
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import type { Chain, Signer, SignerProcess, Wallet } from '@quasar/chain';
import type { Command } from 'commander';
import { type Context, fromCaller } from './context.ts';
import type { Home } from './home.ts';
import { type ChainOptions, isLocalNet } from './net-options.ts';
import { walletName } from './options.ts';
import { askHidden } from './ui/prompt.ts';

export interface WalletOptions extends ChainOptions {
  name: string;
  hotkey: string;
  wallets?: string;
}

export function withWalletOptions(command: Command): Command {
  return withKeyOptions(command.requiredOption('--name <name>', 'name of the wallet', walletName));
}

/** Without the name, which other verbs explain in their own way. */
export function withKeyOptions(command: Command): Command {
  return withFolderOption(command).option('--hotkey <name>', 'which hotkey of the wallet', walletName, 'default');
}

export function withFolderOption(command: Command): Command {
  return command.option('--wallets <folder>', 'folder of wallets (default: ~/.bittensor/wallets)');
}

export function walletsFolder(wallets: string | undefined): string | undefined {
  return wallets === undefined ? undefined : fromCaller(wallets);
}

/** Keys of one wallet. Addresses are known at once; a secret is opened when a signature is wanted. */
export interface Keys {
  hotkey: string;
  /** Null: the hotkey's own account pays, as on the local net. */
  coldkey: string | null;
  /** The hotkey as something that may sign. */
  openHotkey(): Promise<Wallet>;
  /** Asks for the password. Null where there is no coldkey. */
  openColdkey(): Promise<Signer | null>;
  close(): Promise<void>;
}

/** @throws chain.wallet_missing, usage.wallet_wanted and what reading a key file throws */
export async function keysOf(chain: Chain, options: WalletOptions, context: Context, home: Home): Promise<Keys> {
  const isHome = options.wallets === undefined && isDevWallet(options, (await chain.identity()).network);
  return isHome ? homeKeys(options.name, home) : folderKeys(options, context);
}

/** As `keysOf`, for what must start before its chain answers: at a mere address, keys are those of the home. */
export async function keysWithoutChain(options: WalletOptions, context: Context, home: Home): Promise<Keys> {
  const isHome = options.wallets === undefined && (options.network ?? 'dev') === 'dev';
  return isHome ? homeKeys(options.name, home) : folderKeys(options, context);
}

async function folderKeys({ name, hotkey, wallets }: WalletOptions, context: Context): Promise<Keys> {
  const { openSigner, signatureLog, WalletFolder } = await import('@quasar/chain');
  const folder = new WalletFolder(walletsFolder(wallets));
  const opened: SignerProcess[] = [];
  const open = async (path: string, what: string) => {
    let known: string | null = null;
    const signer = await openSigner(path, {
      async password() {
        // Kept, so that a signer that died can be started again without anybody at the terminal.
        known ??= await askHidden(`password of the ${what} (${path}): `);
        return known;
      },
      onSigned: signatureLog(join(context.home, 'signed.jsonl')),
    });
    opened.push(signer);
    return signer;
  };
  return {
    hotkey: folder.hotkeyAddress(name, hotkey),
    coldkey: folder.hasColdkey(name) ? folder.coldkeyAddress(name) : null,
    openHotkey: () => open(folder.hotkey(name, hotkey), 'hotkey'),
    openColdkey: async () => (folder.hasColdkey(name) ? open(folder.coldkey(name), 'coldkey') : null),
    async close() {
      await Promise.all(opened.map((signer) => signer.close()));
    },
  };
}

/** @throws usage.wallet_wanted when a hotkey of the local net would be used on another network */
function isDevWallet(options: ChainOptions, network: string): boolean {
  if (network === 'dev') return true;
  if (!isLocalNet(options)) return false;
  throw new QuasarError('usage.wallet_wanted', `the chain of this home is the network ${network}, not a dev chain`, {
    hint: 'name your wallets with --wallets <folder>',
  });
}

async function homeKeys(name: string, home: Home): Promise<Keys> {
  const { openWallet } = await import('@quasar/chain');
  const wallet = openWallet(home.wallet(name));
  return {
    hotkey: wallet.hotkey,
    coldkey: null,
    openHotkey: async () => wallet,
    openColdkey: async () => null,
    close: async () => {},
  };
}
