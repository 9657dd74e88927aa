/** @file `quasar chain`: a development chain on this machine, kept in one SQLite file (`run`), and looking at any chain. */
import { Command, Option } from 'commander';
import { contextOf } from '../context.ts';
import { COMMIT_REVEAL, type CommitReveal, Home } from '../home.ts';
import { port, wholeNumber } from '../options.ts';
import { DEFAULT_PORTS, requireFreePort } from '../ports.ts';
import { runService } from '../service.ts';
import { explorerVerbs } from './chain-explorer.ts';

const DEFAULT_BLOCK_TIME_MS = 500;

/** As on subtensor. */
const DEFAULT_WEIGHTS_RATE_BLOCKS = 100;
const DEFAULT_TEMPO_BLOCKS = 360;

interface RunOptions {
  port: number;
  blockTimeMs: number;
  weightsRateBlocks: number;
  tempo: number;
  commitReveal: CommitReveal;
}

export function chain(): Command {
  const run = new Command('run')
    .description('Run a development chain: blocks, registration, commitments, weights.')
    .option('--port <number>', 'port to listen on', port, DEFAULT_PORTS.chain)
    .option('--block-time-ms <number>', 'milliseconds from block to block', wholeNumber(10), DEFAULT_BLOCK_TIME_MS)
    .option(
      '--weights-rate-blocks <number>',
      'blocks between two weight updates of a validator',
      wholeNumber(0),
      DEFAULT_WEIGHTS_RATE_BLOCKS,
    )
    .option('--tempo <number>', 'blocks from epoch to epoch', wholeNumber(1), DEFAULT_TEMPO_BLOCKS)
    .addOption(
      new Option(
        '--commit-reveal <how>',
        'how weights are set: at once, or hidden for an epoch (by hash, or timelocked as on the network)',
      )
        .choices(COMMIT_REVEAL)
        .default('off'),
    )
    .action(async (options: RunOptions, command: Command) => {
      const context = contextOf(command);
      const { DevChain, serveChain } = await import('@quasar/chain');
      await requireFreePort(options.port, '--port');
      const { chainFile } = new Home(context.home);
      await runService(
        async () => {
          const ledger = DevChain.open({
            path: chainFile,
            blockTimeMs: options.blockTimeMs,
            weightsRateLimitBlocks: options.weightsRateBlocks,
            tempo: options.tempo,
            commitReveal: options.commitReveal,
          });
          const server = await serveChain(ledger, { port: options.port });
          return {
            facts: { url: server.url },
            async close() {
              await server.close();
              ledger.close();
            },
          };
        },
        (facts) => context.result(facts, `chain at ${facts.url}; Ctrl-C stops it`),
      );
    });
  const verb = new Command('chain')
    .description('The chain: blocks, events, rules; and a chain of your own.')
    .addCommand(run);
  for (const look of explorerVerbs()) verb.addCommand(look);
  return verb;
}
