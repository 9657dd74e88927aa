/** @file `quasar hub run`: a model hub on this machine that speaks the Hugging Face HTTP API. */
import { mkdirSync } from 'node:fs';
import { Command } from 'commander';
import { contextOf } from '../context.ts';
import { Home } from '../home.ts';
import { port } from '../options.ts';
import { DEFAULT_PORTS, requireFreePort } from '../ports.ts';
import { runService } from '../service.ts';

export function hub(): Command {
  const run = new Command('run')
    .description('Run a model hub: immutable revisions, the HTTP API of the Hugging Face hub.')
    .option('--port <number>', 'port to listen on', port, DEFAULT_PORTS.hub)
    .action(async (options: { port: number }, command: Command) => {
      const context = contextOf(command);
      const { serveHub } = await import('@quasar/hub');
      await requireFreePort(options.port, '--port');
      const directory = new Home(context.home).hubFolder;
      mkdirSync(directory, { recursive: true });
      await runService(
        async () => {
          const server = await serveHub({ directory, port: options.port });
          return { facts: { url: server.url }, close: () => server.close() };
        },
        (facts) => context.result(facts, `hub at ${facts.url}; Ctrl-C stops it`),
      );
    });
  return new Command('hub').description('The model hub.').addCommand(run);
}
