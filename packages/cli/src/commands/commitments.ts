/** @file `quasar commitments`: what hotkeys committed, in the order of their reveals. */
import type { Commitment } from '@quasar/chain';
import { Command } from 'commander';
import { type ChainOptions, withChainOptions, withNetuid } from '../net-options.ts';
import { wholeNumber } from '../options.ts';
import { table } from '../ui/table.ts';
import { withChain } from '../with-chain.ts';

interface Flags extends ChainOptions {
  netuid: number;
  at?: number;
  uid?: number;
}

export function commitments(): Command {
  return withNetuid(withChainOptions(new Command('commitments')))
    .description('List what miners committed and the chain revealed, oldest first.')
    .option('--at <block>', 'revealed up to this block (default: the head)', wholeNumber(0))
    .option('--uid <number>', 'of one neuron', wholeNumber(0, 65_535))
    .action((options: Flags, command: Command) =>
      withChain(options, command, async ({ chain, context }) => {
        const atBlock = options.at ?? (await chain.head()).number;
        const all = await chain.commitments(options.netuid, atBlock);
        const commitments = options.uid === undefined ? all : all.filter(({ uid }) => uid === options.uid);
        context.result({ netuid: options.netuid, atBlock, commitments }, () => describe(commitments, atBlock));
      }),
    );
}

function describe(commitments: Commitment[], atBlock: number): string {
  if (commitments.length === 0) return `no commitments up to block ${atBlock}`;
  const columns = [
    { title: 'block', value: (one: Commitment) => one.revealedAtBlock },
    { title: 'uid', value: (one: Commitment) => one.uid },
    { title: 'hotkey', value: (one: Commitment) => one.hotkey },
    { title: 'data', value: (one: Commitment) => printable(one.data) },
  ];
  return table(columns, commitments);
}

const MAX_SHOWN = 120;

/** Written by anybody: control characters could draw over the terminal. */
function printable(data: string): string {
  const text = data.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '·');
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 1)}…` : text;
}
