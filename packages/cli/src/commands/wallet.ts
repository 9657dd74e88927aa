/** @file `quasar wallet`: hotkeys of the home, and their place on the subnet. */
import { Command } from 'commander';
import { contextOf } from '../context.ts';
import { Home } from '../home.ts';
import { NETUID, type NetOptions, netUrls, withNetOptions } from '../net-options.ts';
import { walletName, wholeNumber } from '../options.ts';

export function wallet(): Command {
  const show = new Command('show')
    .description('Show the hotkey of a wallet; a wallet that does not exist is made.')
    .requiredOption('--name <name>', 'name of the wallet', walletName)
    .action(async (options: { name: string }, command: Command) => {
      const context = contextOf(command);
      const { openWallet } = await import('@quasar/chain');
      const file = new Home(context.home).wallet(options.name);
      const { hotkey } = openWallet(file);
      context.result({ name: options.name, hotkey, file }, `${options.name}  ${hotkey}  ${file}`);
    });
  const register = withNetOptions(new Command('register'))
    .description('Register a wallet on the subnet, and give it stake with --stake.')
    .requiredOption('--name <name>', 'name of the wallet', walletName)
    .option('--stake <number>', 'stake to add; a validator needs some', wholeNumber(1))
    .action(async (options: NetOptions & { name: string; stake?: number }, command: Command) => {
      const context = contextOf(command);
      const home = new Home(context.home);
      const { connectChain, openWallet } = await import('@quasar/chain');
      const chain = connectChain(netUrls(options, home).chain);
      const own = openWallet(home.wallet(options.name));
      const { uid } = await chain.register(own, NETUID);
      if (options.stake !== undefined) await chain.addStake(own, NETUID, options.stake);
      context.result({ name: options.name, hotkey: own.hotkey, uid }, `${options.name} is uid ${uid}, ${own.hotkey}`);
    });
  return new Command('wallet').description('Hotkeys.').addCommand(show).addCommand(register);
}
