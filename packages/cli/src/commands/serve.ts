/** @file `quasar serve`: the dashboard, the event stream and the OpenAI-compatible API of the king. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { BASE } from '../assets.ts';
import { contextOf, REPOSITORY } from '../context.ts';
import { Home } from '../home.ts';
import { hubOptions, NETUID, type NetOptions, netUrls, withNetOptions } from '../net-options.ts';
import { port } from '../options.ts';
import { DEFAULT_PORTS, requireFreePort } from '../ports.ts';
import { runService } from '../service.ts';

export function serve(): Command {
  const command = new Command('serve').description('Serve the dashboard and the king (OpenAI-compatible API).');
  return withNetOptions(command)
    .option('--port <number>', 'port to listen on', port, DEFAULT_PORTS.server)
    .action(async (options: NetOptions & { port: number }, action: Command) => {
      const context = contextOf(action);
      const home = new Home(context.home);
      const server = await import('@quasar/server');
      const { createHubClient } = await import('@quasar/hub');
      const { openStore } = await import('@quasar/store');
      await requireFreePort(options.port, '--port');
      const urls = netUrls(options, home);
      const page = join(REPOSITORY, 'apps/web/dist');
      await runService(
        async () => {
          const store = openStore({ path: home.contestFile });
          const app = server.createApp({
            store,
            chainUrl: urls.chain,
            netuid: NETUID,
            hub: createHubClient(hubOptions(options, home, 'server')),
            models: { baseDirectory: BASE },
            webDirectory: existsSync(page) ? page : undefined,
          });
          const served = await server.serve(app, { port: options.port });
          return {
            facts: { url: served.url },
            async close() {
              await served.close();
              store.close();
            },
          };
        },
        (facts) => context.result(facts, `dashboard and API at ${facts.url}; Ctrl-C stops it`),
      );
    });
}
