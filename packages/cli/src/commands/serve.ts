/** @file `quasar serve`: the dashboard, the event stream and the OpenAI-compatible API of the king. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { QuasarError } from '@quasar/base';
import type { Engine } from '@quasar/infer';
import { Command } from 'commander';
import { BASE } from '../assets.ts';
import { contextOf, fromCaller, REPOSITORY } from '../context.ts';
import { Home } from '../home.ts';
import { hubOptions, NETUID, type NetOptions, netUrls, withNetOptions } from '../net-options.ts';
import { graftBase, graftBaseOption, port } from '../options.ts';
import { DEFAULT_PORTS, requireFreePort } from '../ports.ts';
import { runService } from '../service.ts';

interface ServeFlags extends NetOptions {
  port: number;
  base?: string;
}

export function serve(): Command {
  const command = new Command('serve').description(
    'Serve the dashboard, the king and models of your own (OpenAI-compatible API).',
  );
  return withNetOptions(command)
    .argument('[folders...]', 'checkpoints to serve besides, each by the name of its folder')
    .addOption(graftBaseOption())
    .option('--port <number>', 'port to listen on', port, DEFAULT_PORTS.server)
    .action(async (folders: string[], options: ServeFlags, action: Command) => {
      const context = contextOf(action);
      const home = new Home(context.home);
      const server = await import('@quasar/server');
      const { createHubClient } = await import('@quasar/hub');
      const { openStore } = await import('@quasar/store');
      await requireFreePort(options.port, '--port');
      const own = await loadOwn(folders, options);
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
            cacheDirectory: (name) => home.cacheFolder(name),
            models: { baseDirectory: BASE },
            webDirectory: existsSync(page) ? page : undefined,
          });
          for (const [id, engine] of own) app.shelf.putOwn(id, engine);
          const served = await server.serve(app, { port: options.port });
          return {
            facts: { url: served.url },
            async close() {
              await served.close();
              store.close();
            },
          };
        },
        ({ url }) => {
          const models = [...own.keys()];
          const besides = models.length > 0 ? `, with ${models.join(', ')}` : '';
          context.result({ url, models }, `dashboard and API at ${url}${besides}; Ctrl-C stops it`);
        },
      );
    });
}

/** Engines by the id under which they answer; a folder that cannot be loaded stops the server before it starts. */
async function loadOwn(folders: readonly string[], options: ServeFlags): Promise<Map<string, Engine>> {
  const { Engine } = await import('@quasar/infer');
  const own = new Map<string, Engine>();
  for (const folder of folders.map(fromCaller)) {
    const id = basename(folder);
    if (own.has(id) || ['king', 'base'].includes(id.split('@')[0] as string))
      throw new QuasarError('usage.invalid_argument', `serve: another model is called "${id}"`, {
        hint: 'rename the folder: its name is the name of the model',
      });
    own.set(id, await Engine.load(folder, graftBase(options)));
  }
  return own;
}
