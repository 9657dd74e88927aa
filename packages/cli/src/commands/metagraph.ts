/** @file `quasar metagraph`: everybody on the subnet, with what they earn. */
import type { Metagraph, Neuron } from '@quasar/chain';
import { Command } from 'commander';
import { type ChainOptions, withChainOptions, withNetuid } from '../net-options.ts';
import { wholeNumber } from '../options.ts';
import { bar, percent } from '../ui/bar.ts';
import { table } from '../ui/table.ts';
import { withChain } from '../with-chain.ts';

interface Flags extends ChainOptions {
  netuid: number;
  at?: number;
}

export function metagraph(): Command {
  return withNetuid(withChainOptions(new Command('metagraph')))
    .description('List the neurons of the subnet: stake, permit, incentive, dividends.')
    .option('--at <block>', 'as this block left them (default: the head)', wholeNumber(0))
    .action((options: Flags, command: Command) =>
      withChain(options, command, async ({ chain, context }) => {
        const metagraph = await chain.metagraph(options.netuid, options.at);
        context.result(metagraph, () => describe(metagraph));
      }),
    );
}

function describe({ netuid, atBlock, neurons }: Metagraph): string {
  if (neurons.length === 0) return `nobody is registered on subnet ${netuid} at block ${atBlock}`;
  const columns = [
    { title: 'uid', value: (one: Neuron) => one.uid },
    { title: 'hotkey', value: (one: Neuron) => one.hotkey },
    { title: 'stake', value: (one: Neuron) => one.stake.toFixed(2), isNumeric: true as const },
    { title: 'role', value: (one: Neuron) => (one.validatorPermit ? 'validator' : 'miner') },
    { title: 'updated', value: (one: Neuron) => one.lastUpdateBlock },
    { title: 'incentive', value: (one: Neuron) => percent(one.incentive), isNumeric: true as const },
    { title: '', value: (one: Neuron) => bar(one.incentive) },
    { title: 'dividends', value: (one: Neuron) => percent(one.dividends), isNumeric: true as const },
    {
      title: 'vtrust',
      value: (one: Neuron) => (one.validatorTrust === 0 ? '' : one.validatorTrust.toFixed(2)),
      isNumeric: true as const,
    },
    {
      title: 'emission',
      value: (one: Neuron) => (one.emission === 0 ? '' : one.emission.toFixed(3)),
      isNumeric: true as const,
    },
  ];
  return `subnet ${netuid} at block ${atBlock}\n${table(columns, neurons)}`;
}
