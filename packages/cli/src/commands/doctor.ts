/** @file `quasar doctor`: what this machine offers and what is missing, and whether the chain is there. */
import { networkIsolation } from '@quasar/base';
import { Command } from 'commander';
import { type ChainReport, type ChainState, examineChain } from '../chain-doctor.ts';
import type { DoctorReport } from '../doctor.ts';
import { DEFAULT_CACHE_BYTES, withChainOptions, withNetuid } from '../net-options.ts';
import { walletName } from '../options.ts';
import { examineQueue, type QueueReport } from '../queue-doctor.ts';
import { record } from '../ui/table.ts';
import { keysOf, type WalletOptions, withFolderOption } from '../wallet-options.ts';
import { withChain } from '../with-chain.ts';
import { waitText } from './chain-explorer.ts';

type Flags = Omit<WalletOptions, 'name'> & { name?: string; netuid: number; queue?: string };

export function doctor(): Command {
  return withNetuid(withFolderOption(withChainOptions(new Command('doctor'))))
    .description('Say which device, compiler, services and chain this machine has, and what is missing.')
    .option('--name <name>', 'wallet to look for on the chain', walletName)
    .option('--hotkey <name>', 'which hotkey of the wallet', walletName, 'default')
    .option('--queue <address>', 'job queue to try: the path of an SQLite file (made when absent) or postgres://...')
    .action((options: Flags, command: Command) =>
      withChain(options, command, async ({ chain, address, context, home }) => {
        const { examine } = await import('../doctor.ts');
        const { name } = options;
        const hotkeyOf =
          name === undefined ? null : async () => (await keysOf(chain, { ...options, name }, context, home)).hotkey;
        const [machine, chainReport, queue] = await Promise.all([
          examine(context.home),
          examineChain(chain, address, options.netuid, networkIsolation(), hotkeyOf),
          options.queue === undefined ? null : examineQueue(options.queue),
        ]);
        context.result({ ...machine, chain: chainReport, queue }, () =>
          [describe(machine), describeChain(chainReport), ...(queue === null ? [] : [describeQueue(queue)])].join(
            '\n\n',
          ),
        );
      }),
    );
}

function describe(report: DoctorReport): string {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  const fields = record({
    device: `${report.device}, ${report.threads} threads, ${report.isa} (${report.why})`,
    compiler: report.compiler ?? 'none',
    node: `${report.node} on ${report.platform}`,
    memory: `${gigabytes(report.memoryBytes.free)} free of ${gigabytes(report.memoryBytes.total)}`,
    home: `${report.home.path}${report.home.freeBytes === null ? '' : `, ${gigabytes(report.home.freeBytes)} free`}`,
    cache: cacheText(report.caches),
    ports: Object.entries(report.ports)
      .map(([name, { port, free }]) => `${name} ${port}${free ? '' : ' (in use; the next free one is taken)'}`)
      .join(', '),
    chromium: report.chromium ?? 'none',
    postgres: report.postgres ?? 'none (SQLite is the default)',
  });
  const missing = report.missing.map((line) => `missing: ${line}`);
  return [fields, ...(missing.length > 0 ? missing : ['nothing is missing'])].join('\n');
}

function cacheText(caches: DoctorReport['caches']): string {
  const each = Object.entries(caches).map(([name, { bytes }]) => `${name} ${(bytes / 1e9).toFixed(2)} GB`);
  const most = DEFAULT_CACHE_BYTES / 1e9;
  return `${each.length > 0 ? each.join(', ') : 'nothing of a hub'}; each at most ${most} GB unless --cache-gb or larger rules say more`;
}

function describeChain({ address, state, error, signer }: ChainReport): string {
  return record({
    chain:
      state === null
        ? `${address} does not answer: ${error?.message} [${error?.code}]`
        : `${address}, answers in ${state.latencyMs} ms`,
    ...(state === null ? {} : describeState(state)),
    signer: signer.isIsolated ? `no network: ${signer.why}` : `not cut off from the network: ${signer.why}`,
  });
}

function describeQueue({ address, roundTripMs, error }: QueueReport): string {
  return record({
    queue:
      error === null
        ? `${address}, a job and its result in ${roundTripMs} ms`
        : `${address} does not work: ${error.message} [${error.code}]${error.hint === undefined ? '' : `; ${error.hint}`}`,
  });
}

function describeState(state: ChainState): Record<string, string> {
  const { hotkey, head, nextEpochBlock, blockTimeMs, netuid } = state;
  const uid = hotkey?.uid ?? null;
  return {
    network: `${state.network}, ${state.specName} ${state.specVersion}, block ${head}`,
    subnet: `${netuid}, next epoch ${waitText(nextEpochBlock - head, blockTimeMs)}; weights ${state.commitRevealEnabled ? 'are committed first' : 'count at once'}`,
    pending: `${state.pendingWeights} committed weights${hotkey === null ? '' : ' of this hotkey'}`,
    ...(hotkey === null
      ? {}
      : {
          hotkey:
            uid === null
              ? `${hotkey.address} is not registered: quasar register`
              : `${hotkey.address} is uid ${uid}, ${hotkey.validatorPermit ? 'may set weights' : 'has no validator permit'}, stake ${hotkey.stake}, last update in block ${hotkey.lastUpdateBlock}`,
        }),
  };
}
