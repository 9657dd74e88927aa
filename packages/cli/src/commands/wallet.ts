/** @file `quasar wallet`: keys on this machine. Nothing here talks to a chain. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyEntry, KeyPair, WalletEntry } from '@quasar/chain';
import { Command, Option } from 'commander';
import { type Context, contextOf } from '../context.ts';
import { Home } from '../home.ts';
import { wholeNumber } from '../options.ts';
import { askHidden, askNewSecret } from '../ui/prompt.ts';
import { table } from '../ui/table.ts';
import { walletsFolder, withFolderOption, withWalletOptions } from '../wallet-options.ts';

interface Flags {
  name: string;
  hotkey: string;
  wallets?: string;
}

export function wallet(): Command {
  return new Command('wallet')
    .description('Keys on this machine: coldkeys that own, hotkeys that sign.')
    .addCommand(list())
    .addCommand(show())
    .addCommand(create())
    .addCommand(importKey());
}

function list(): Command {
  return withFolderOption(new Command('list'))
    .description('List the hotkeys of the local net, and the wallets of Bittensor on this machine.')
    .action(async (options: { wallets?: string }, command: Command) => {
      const context = contextOf(command);
      const { WalletFolder } = await import('@quasar/chain');
      const folder = new WalletFolder(walletsFolder(options.wallets));
      const local = await homeWallets(context);
      const wallets = folder.list();
      context.result({ local, folder: folder.root, wallets }, () => describeList(local, folder.root, wallets));
    });
}

function show(): Command {
  return withWalletOptions(new Command('show'))
    .description('Show the addresses of one wallet: a hotkey of the local net, or a wallet of Bittensor.')
    .action(async (options: Flags, command: Command) => {
      const context = contextOf(command);
      const { openWallet, WalletFolder } = await import('@quasar/chain');
      const file = new Home(context.home).wallet(options.name);
      if (options.wallets === undefined && existsSync(file)) {
        const { hotkey } = openWallet(file);
        return context.result({ name: options.name, hotkey, file }, `${options.name}  ${hotkey}  ${file}`);
      }
      const folder = new WalletFolder(walletsFolder(options.wallets));
      const found = folder.list().find(({ name }) => name === options.name);
      // Says which file is not there.
      if (found === undefined) folder.hotkeyAddress(options.name, options.hotkey);
      else context.result(found, () => walletTable([found]));
    });
}

function create(): Command {
  return withKeyOption(withWalletOptions(new Command('new')))
    .description('Make a wallet: an encrypted coldkey and a hotkey, each with a phrase of its own.')
    .option('--words <number>', 'words of a phrase: 12, 15, 18, 21 or 24', wholeNumber(12, 24), 12)
    .option('--show-phrase', 'print the phrases although stderr is no terminal')
    .action(async (options: Flags & { key?: Key; words: number; showPhrase?: true }, command: Command) => {
      const context = contextOf(command);
      const { keyPairFromUri, newPhrase } = await import('@quasar/chain');
      const keys = await keysWanted(options);
      const made: Record<string, string> = {};
      for (const key of keys) {
        const phrase = newPhrase(options.words);
        made[key] = await write(context, options, key, keyPairFromUri(phrase));
        tellPhrase(key, phrase, options.showPhrase === true);
      }
      reportMade(context, options.name, made);
    });
}

function importKey(): Command {
  return withKeyOption(withWalletOptions(new Command('import')))
    .description('Make key files from a phrase that you have. It is asked for, never given on the line.')
    .action(async (options: Flags & { key?: Key }, command: Command) => {
      const context = contextOf(command);
      const { keyPairFromUri } = await import('@quasar/chain');
      const keys = await keysWanted(options);
      const made: Record<string, string> = {};
      for (const key of keys) {
        const secret = await askHidden(`phrase of the ${key} (not shown; 0x and a seed will do): `);
        made[key] = await write(context, options, key, keyPairFromUri(secret));
      }
      reportMade(context, options.name, made);
    });
}

type Key = 'coldkey' | 'hotkey';

function withKeyOption(command: Command): Command {
  return command.addOption(new Option('--key <which>', 'one key only (default: both)').choices(['coldkey', 'hotkey']));
}

/** Refuses before anything is asked or written. */
async function keysWanted({ key, name, hotkey, wallets }: Flags & { key?: Key }): Promise<Key[]> {
  const { WalletFolder } = await import('@quasar/chain');
  const folder = new WalletFolder(walletsFolder(wallets));
  const keys: Key[] = key === undefined ? ['coldkey', 'hotkey'] : [key];
  for (const wanted of keys) folder.requireFree(name, wanted === 'hotkey' ? hotkey : null);
  return keys;
}

/** @returns the address */
async function write(context: Context, { name, hotkey, wallets }: Flags, key: Key, keyPair: KeyPair): Promise<string> {
  const { WalletFolder } = await import('@quasar/chain');
  const folder = new WalletFolder(walletsFolder(wallets));
  if (key === 'hotkey') await folder.createHotkey(name, hotkey, keyPair);
  else {
    const password = await askNewSecret('password for the coldkey: ');
    context.note('encrypting; this takes some seconds');
    await folder.createColdkey(name, keyPair, password);
  }
  return keyPair.address;
}

/** Once, and to people: standard output may go anywhere. */
function tellPhrase(key: Key, phrase: string, isWanted: boolean): void {
  if (!process.stderr.isTTY && !isWanted) {
    process.stderr.write(`the phrase of the ${key} is not shown: this is no terminal (--show-phrase shows it)\n`);
    return;
  }
  process.stderr.write(`phrase of the ${key}; write it down, it is the only way back to the key:\n\n    ${phrase}\n\n`);
}

function reportMade(context: Context, name: string, made: Record<string, string>): void {
  const lines = Object.entries(made).map(([key, address]) => `${key.padEnd(7)}  ${address}`);
  context.result({ name, ...made }, () => [`wallet ${name}`, ...lines].join('\n'));
}

interface LocalKey {
  name: string;
  hotkey: string | null;
  file: string;
  problem: string | null;
}

async function homeWallets(context: Context): Promise<LocalKey[]> {
  const { openKeyFile } = await import('@quasar/chain');
  const home = new Home(context.home);
  const folder = join(context.home, 'wallets');
  const names = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.json')) : [];
  const keys = names.sort().map(async (file): Promise<LocalKey> => {
    const name = file.slice(0, -'.json'.length);
    const path = home.wallet(name);
    try {
      return { name, hotkey: (await openKeyFile(path)).address, file: path, problem: null };
    } catch (error) {
      return { name, hotkey: null, file: path, problem: (error as Error).message };
    }
  });
  return Promise.all(keys);
}

function describeList(local: LocalKey[], folder: string, wallets: WalletEntry[]): string {
  const columns = [
    { title: 'name', value: (key: LocalKey) => key.name },
    { title: 'hotkey', value: (key: LocalKey) => key.hotkey ?? `- ${key.problem}` },
  ];
  return [
    local.length === 0 ? 'local net: no hotkeys' : `local net\n${table(columns, local)}`,
    wallets.length === 0
      ? `${folder}: no wallets; \`quasar wallet new --name <name>\` makes one`
      : `${folder}\n${walletTable(wallets)}`,
  ].join('\n\n');
}

function walletTable(wallets: WalletEntry[]): string {
  const rows = wallets.flatMap(({ name, coldkey, hotkeys }) => [
    ...(coldkey === null ? [] : [{ wallet: name, key: 'coldkey', entry: coldkey }]),
    ...hotkeys.map((entry) => ({ wallet: name, key: `hotkey ${entry.name}`, entry })),
  ]);
  const columns = [
    { title: 'wallet', value: (row: (typeof rows)[number]) => row.wallet },
    { title: 'key', value: (row: (typeof rows)[number]) => row.key },
    { title: 'address', value: (row: (typeof rows)[number]) => row.entry.address ?? '-' },
    { title: 'file', value: (row: (typeof rows)[number]) => fileState(row.entry) },
  ];
  return table(columns, rows);
}

function fileState({ encryption, hasSecret, problem }: KeyEntry): string {
  if (problem !== null) return `${problem.message} [${problem.code}]`;
  if (!hasSecret) return 'address only';
  return encryption === null
    ? 'plain'
    : encryption === 'nacl'
      ? 'encrypted'
      : `encrypted (${encryption}, an old format)`;
}
