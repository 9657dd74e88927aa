/** @file `quasar chain head|block|events|hyperparameters`: looking at a chain. */
import { QuasarError } from '@quasar/base';
import type { Chain, Hyperparameters } from '@quasar/chain';
import { Command } from 'commander';
import { type ChainOptions, withChainOptions, withNetuid } from '../net-options.ts';
import { wholeNumber } from '../options.ts';
import { listenForStop } from '../service.ts';
import { tao } from '../ui/bar.ts';
import { record, table } from '../ui/table.ts';
import { type ChainContext, withChain } from '../with-chain.ts';

interface Flags extends ChainOptions {
  netuid: number;
  follow?: true;
}

/** What the subnet shows of a block. */
interface ChainEvent {
  block: number;
  kind: 'registered' | 'committed' | 'weights';
  uid: number;
  hotkey: string;
  detail: string;
}

export function explorerVerbs(): Command[] {
  return [head(), block(), events(), hyperparameters()];
}

function head(): Command {
  return withNetuid(withChainOptions(new Command('head')))
    .description('Show the newest block, and when the next epoch runs.')
    .option('--follow', 'a line per block, until stopped')
    .action((options: Flags, command: Command) =>
      withChain(options, command, async (open) => {
        const { chain, context } = open;
        if (options.follow)
          return follow(open, async ({ number, hash }) => context.result({ number, hash }, `${number}  ${hash}`));
        const [{ network, specName, specVersion, genesis }, newest, best, blockTimeMs, nextEpochBlock] =
          await Promise.all([
            chain.identity(),
            chain.head(),
            chain.bestHead(),
            chain.blockTimeMs(),
            chain.nextEpochBlock(options.netuid),
          ]);
        const result = { network, specName, specVersion, genesis, head: newest, best, blockTimeMs, nextEpochBlock };
        context.result(result, () =>
          record({
            network: `${network}, ${specName} ${specVersion}, genesis ${genesis}`,
            head: `${newest.number}  ${newest.hash}`,
            ...(best.number === newest.number ? {} : { 'not final': `${best.number}  ${best.hash}` }),
            pace: blockTimeMs === 0 ? 'a block when somebody needs one' : `a block every ${blockTimeMs / 1000} s`,
            'next epoch': `block ${nextEpochBlock}, ${waitText(nextEpochBlock - newest.number, blockTimeMs)}`,
          }),
        );
      }),
    );
}

function block(): Command {
  return withNetuid(withChainOptions(new Command('block')))
    .description('Show one block: its hash, and what happened in it on the subnet.')
    .argument('<number>', 'number of the block', wholeNumber(0))
    .action((number: number, options: Flags, command: Command) =>
      withChain(options, command, async ({ chain, context }) => {
        const [hash, newest] = await Promise.all([chain.blockHash(number), chain.head()]);
        if (hash === null) {
          throw new QuasarError('chain.no_block', `there is no block ${number} yet`, {
            hint: `the newest is ${newest.number}`,
            retry: 'later',
          });
        }
        const happened = await eventsOf(chain, options.netuid, number, number);
        context.result({ number, hash, events: happened }, () => `${number}  ${hash}\n${describeEvents(happened)}`);
      }),
    );
}

function events(): Command {
  return withNetuid(withChainOptions(new Command('events')))
    .description('List registrations, commitments and weights of the newest blocks.')
    .option('--last <blocks>', 'how many blocks to look back', wholeNumber(1, 1_000_000), 1000)
    .option('--follow', 'go on with every new block, until stopped')
    .action((options: Flags & { last: number }, command: Command) =>
      withChain(options, command, async (open) => {
        const { chain, context } = open;
        const { number } = await chain.head();
        const from = Math.max(0, number - options.last + 1);
        const happened = await eventsOf(chain, options.netuid, from, number);
        if (!options.follow)
          return context.result({ from, to: number, events: happened }, () => describeEvents(happened));
        const tell = (event: ChainEvent) => context.result(event, eventLine(event));
        for (const event of happened) tell(event);
        let seen = number;
        await follow(open, async (newest) => {
          for (const event of await eventsOf(chain, options.netuid, seen + 1, newest.number)) tell(event);
          seen = Math.max(seen, newest.number);
        });
      }),
    );
}

function hyperparameters(): Command {
  return withNetuid(withChainOptions(new Command('hyperparameters')))
    .description('Show the rules of the subnet, and what a registration costs now.')
    .action((options: Flags, command: Command) =>
      withChain(options, command, async ({ chain, context }) => {
        const [rules, cost] = await Promise.all([
          chain.hyperparameters(options.netuid),
          chain.registrationCost(options.netuid),
        ]);
        context.result({ netuid: options.netuid, registrationCost: cost, ...rules }, () => describeRules(rules, cost));
      }),
    );
}

/** What is in blocks `from` to `to`, in their order. Of weights and registrations only what still stands. */
async function eventsOf(chain: Chain, netuid: number, from: number, to: number): Promise<ChainEvent[]> {
  if (to < from) return [];
  const [{ neurons }, commitments, rows] = await Promise.all([
    chain.metagraph(netuid, to),
    chain.commitments(netuid, to),
    chain.weights(netuid, to),
  ]);
  const all: ChainEvent[] = [
    ...neurons.map(({ uid, hotkey, registeredAtBlock, coldkey }) => {
      const detail = coldkey === hotkey ? '' : `by ${coldkey}`;
      return { block: registeredAtBlock, kind: 'registered' as const, uid, hotkey, detail };
    }),
    ...commitments.map(({ uid, hotkey, revealedAtBlock, data }) => {
      const detail = JSON.stringify(data.length > 80 ? `${data.slice(0, 79)}…` : data);
      return { block: revealedAtBlock, kind: 'committed' as const, uid, hotkey, detail };
    }),
    ...rows.map(({ validatorUid, hotkey, setAtBlock, weights }) => {
      const heaviest = weights.toSorted((a, b) => b.weight - a.weight)[0];
      const detail = heaviest === undefined ? '' : `uid ${heaviest.uid} gets ${(heaviest.weight * 100).toFixed(1)} %`;
      return { block: setAtBlock, kind: 'weights' as const, uid: validatorUid, hotkey, detail };
    }),
  ];
  return all.filter((event) => event.block >= from && event.block <= to).sort((a, b) => a.block - b.block);
}

async function follow(
  { chain }: ChainContext,
  tell: (head: { number: number; hash: string }) => Promise<void>,
): Promise<void> {
  // Heads wait for a chain that is away; at the start that is an error.
  await chain.head();
  const stopping = listenForStop();
  try {
    for await (const newest of chain.heads(stopping.signal)) await tell(newest);
  } finally {
    stopping.dispose();
  }
}

function describeEvents(events: ChainEvent[]): string {
  if (events.length === 0) return 'nothing happened on the subnet';
  const columns = [
    { title: 'block', value: (event: ChainEvent) => event.block },
    { title: 'event', value: (event: ChainEvent) => event.kind },
    { title: 'uid', value: (event: ChainEvent) => event.uid },
    { title: 'hotkey', value: (event: ChainEvent) => event.hotkey },
    { title: '', value: (event: ChainEvent) => event.detail },
  ];
  return table(columns, events);
}

function eventLine({ block, kind, uid, hotkey, detail }: ChainEvent): string {
  return `${block}  ${kind.padEnd(10)}  uid ${uid}  ${hotkey}  ${detail}`.trimEnd();
}

function describeRules(rules: Hyperparameters, cost: number): string {
  const { commitRevealEnabled, registrationAllowed } = rules;
  return record({
    registration: registrationAllowed
      ? `${tao(cost)} now, from ${tao(rules.minBurn)} to ${tao(rules.maxBurn)}`
      : 'closed',
    neurons: `at most ${rules.maxAllowedUids}, of which ${rules.maxValidators} validators`,
    immunity: `${rules.immunityPeriodBlocks} blocks after a registration`,
    epoch: `every ${rules.tempo} blocks; silent for ${rules.activityCutoffBlocks} blocks counts as inactive`,
    weights: `at least ${rules.minAllowedWeights} uids, every ${rules.weightsRateLimitBlocks} blocks, version ${rules.weightsVersionKey}`,
    reveal: commitRevealEnabled
      ? `weights are committed, and count ${rules.revealPeriodEpochs} epochs later`
      : 'weights count at once',
    consensus: `Yuma ${rules.yumaVersion}, kappa ${rules.kappa.toFixed(3)}`,
    bonds: `${(rules.bondsMovingAverage * 100).toFixed(1)} % of the old ones stay; penalty ${rules.bondsPenalty.toFixed(3)}`,
  });
}

export function waitText(blocks: number, blockTimeMs: number): string {
  const seconds = (blocks * blockTimeMs) / 1000;
  if (blockTimeMs === 0) return `in ${blocks} blocks`;
  return `in ${blocks} blocks, about ${seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.round(seconds / 60)} min`}`;
}
