/** @file `quasar weights`: what validators set, and setting them by hand. */
import { QuasarError } from '@quasar/base';
import type { Neuron, PendingWeights, Weight, WeightRow, WeightsReceipt } from '@quasar/chain';
import { Command, InvalidArgumentError } from 'commander';
import { type ChainOptions, withChainOptions, withNetuid } from '../net-options.ts';
import { wholeNumber } from '../options.ts';
import { bar, percent, tao } from '../ui/bar.ts';
import { record, table } from '../ui/table.ts';
import { keysOf, type WalletOptions, withWalletOptions } from '../wallet-options.ts';
import { withChain } from '../with-chain.ts';

interface ShowFlags extends ChainOptions {
  netuid: number;
  at?: number;
}

interface SetFlags extends WalletOptions {
  netuid: number;
  uids: Weight[];
  versionKey?: number;
  dryRun?: true;
}

export function weights(): Command {
  return new Command('weights')
    .description('Weights: what validators think of miners.')
    .addCommand(show())
    .addCommand(set())
    .addCommand(reveal());
}

function show(): Command {
  return withNetuid(withChainOptions(new Command('show')))
    .description('Show the newest weights of every validator, and what is committed and not yet revealed.')
    .option('--at <block>', 'as this block left them (default: the head)', wholeNumber(0))
    .action((options: ShowFlags, command: Command) =>
      withChain(options, command, async ({ chain, context }) => {
        const atBlock = options.at ?? (await chain.head()).number;
        const [rows, pending] = await Promise.all([
          chain.weights(options.netuid, atBlock),
          chain.pendingWeights(options.netuid),
        ]);
        context.result({ netuid: options.netuid, atBlock, rows, pending }, () =>
          describeWeights(rows, pending, atBlock),
        );
      }),
    );
}

function set(): Command {
  return withNetuid(withWalletOptions(withChainOptions(new Command('set'))))
    .description('Set the weights of a validator by hand; the hotkey signs. Look first with --dry-run.')
    .requiredOption('--uids <list>', 'uids with their weights, such as 3=1,5=0.5; only ratios count', parseWeights)
    .option('--version-key <number>', 'version of the rules (default: what the chain asks for)', wholeNumber(0))
    .option('--dry-run', 'show what would be signed, and stop')
    .action((options: SetFlags, command: Command) =>
      withChain(options, command, async ({ chain, context, home }) => {
        const keys = await keysOf(chain, options, context, home);
        try {
          const { netuid, uids, versionKey } = options;
          const [{ neurons }, { network }] = await Promise.all([chain.metagraph(netuid), chain.identity()]);
          const version = versionKey === undefined ? {} : { versionKey };
          requireUids(uids, neurons);
          const preview = await chain.preview(keys.hotkey, {
            method: 'setWeights',
            params: { netuid, weights: uids, ...version },
          });
          const shown = () =>
            record({
              network: `${network}, subnet ${netuid}`,
              hotkey: keys.hotkey,
              weights: sharesOf(uids),
              extrinsic: `${preview.call}, fee ${preview.fee === null ? 'unknown' : tao(preview.fee)}`,
              encoded: preview.encoded,
            });
          if (options.dryRun)
            return context.result(
              { dryRun: true, network, netuid, hotkey: keys.hotkey, weights: uids, preview },
              shown,
            );
          context.note(shown());
          const receipt = await chain.setWeights(await keys.openHotkey(), netuid, uids, version);
          context.result({ netuid, hotkey: keys.hotkey, receipt }, () => describeReceipt(receipt));
        } finally {
          await keys.close();
        }
      }),
    );
}

function reveal(): Command {
  return withNetuid(withWalletOptions(withChainOptions(new Command('reveal'))))
    .description('Reveal weights that were committed by hash and are due; the chain reveals timelocked ones itself.')
    .action((options: Omit<SetFlags, 'uids'>, command: Command) =>
      withChain(options, command, async ({ chain, context, home }) => {
        const keys = await keysOf(chain, options, context, home);
        try {
          const { revealed } = await chain.revealWeights(await keys.openHotkey(), options.netuid);
          context.result({ revealed }, revealed === 0 ? 'nothing to reveal' : `revealed ${revealed} weights`);
        } finally {
          await keys.close();
        }
      }),
    );
}

function parseWeights(text: string): Weight[] {
  const parsed = text.split(',').map((part) => /^\s*(\d{1,5})\s*=\s*(\d+(?:\.\d+)?)\s*$/.exec(part));
  const weights = parsed.map((match) => ({ uid: Number(match?.[1]), weight: Number(match?.[2]) }));
  const isGood =
    parsed.every((match) => match !== null) && new Set(weights.map(({ uid }) => uid)).size === weights.length;
  if (isGood && weights.some(({ weight }) => weight > 0)) return weights;
  throw new InvalidArgumentError('Expected uid=weight with commas between, each uid once, one weight above 0.');
}

function requireUids(weights: Weight[], neurons: Neuron[]): void {
  const unknown = weights.filter(({ uid }) => uid >= neurons.length).map(({ uid }) => uid);
  if (unknown.length === 0) return;
  throw new QuasarError('chain.weights_invalid', `no neuron has uid ${unknown.join(', ')}`, {
    hint:
      neurons.length === 0
        ? 'nobody is registered on this subnet'
        : `uids go from 0 to ${neurons.length - 1}; see quasar metagraph`,
  });
}

function sharesOf(weights: Weight[]): string {
  const sum = weights.reduce((total, { weight }) => total + weight, 0);
  return weights.map(({ uid, weight }) => `uid ${uid} ${((weight / sum) * 100).toFixed(1)} %`).join(', ');
}

function describeReceipt(receipt: WeightsReceipt): string {
  switch (receipt.kind) {
    case 'plain':
      return `weights set in block ${receipt.setAtBlock}`;
    case 'hash':
      return `weights committed in block ${receipt.committedAtBlock}; reveal them from block ${receipt.revealFromBlock} to ${receipt.revealUntilBlock}`;
    case 'timelocked':
      return `weights committed in block ${receipt.committedAtBlock}; the chain reveals them about block ${receipt.expectedRevealBlock}`;
  }
}

interface WeightLine {
  row: WeightRow | null;
  weight: Weight;
}

function describeWeights(rows: WeightRow[], pending: PendingWeights[], atBlock: number): string {
  const lines = rows.flatMap((row) =>
    row.weights.map((weight, i): WeightLine => ({ row: i === 0 ? row : null, weight })),
  );
  const columns = [
    { title: 'validator', value: ({ row }: WeightLine) => row?.validatorUid ?? '', isNumeric: true as const },
    { title: 'hotkey', value: ({ row }: WeightLine) => row?.hotkey ?? '' },
    { title: 'block', value: ({ row }: WeightLine) => row?.setAtBlock ?? '', isNumeric: true as const },
    { title: 'uid', value: ({ weight }: WeightLine) => weight.uid },
    { title: 'share', value: ({ weight }: WeightLine) => percent(weight.weight), isNumeric: true as const },
    { title: '', value: ({ weight }: WeightLine) => bar(weight.weight) },
  ];
  return [
    lines.length === 0 ? `no weights at block ${atBlock}` : table(columns, lines),
    ...pending.map(({ hotkey, kind, committedAtBlock, expectedRevealBlock }) => {
      const how = kind === 'timelocked' ? 'the chain reveals them' : 'their validator may reveal them';
      return `pending: ${hotkey} committed in block ${committedAtBlock}; ${how} from block ${expectedRevealBlock}`;
    }),
  ].join('\n');
}
