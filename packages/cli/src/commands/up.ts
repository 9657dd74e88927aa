/** @file `quasar up`: a whole net on this machine: chain, hub, validator, server and four scripted miners. */
import { existsSync, mkdirSync } from 'node:fs';
import { Command, Option } from 'commander';
import { requireAssets } from '../assets.ts';
import { contextOf } from '../context.ts';
import { DATA_HELP, readSpecs } from '../data-options.ts';
import { EXIT } from '../exit-codes.ts';
import { COMMIT_REVEAL, Home } from '../home.ts';
import { port, wholeNumber } from '../options.ts';
import type { AskedSettings } from '../up/settings.ts';

interface UpOptions extends Omit<AskedSettings, 'data'> {
  data?: string[];
  rounds?: number;
  fresh?: true;
  open: boolean;
}

export function up(): Command {
  return new Command('up')
    .description('Run a whole net on this machine: chain, hub, validator, server and four scripted miners.')
    .option(
      '--rounds <number>',
      'end after this many rounds, when every scripted submission has its verdict',
      wholeNumber(1),
    )
    .option('--data <what...>', `what the miners train on beside the world: ${DATA_HELP}`)
    .option('--fresh', 'forget the net of this home and start a new one')
    .option('--port <number>', 'port of the dashboard and the API (default: 2424 or the next free one)', port)
    .option('--hub-port <number>', 'port of the hub (default: 2425 or the next free one)', port)
    .option('--chain-port <number>', 'port of the chain (default: 2426 or the next free one)', port)
    .option('--block-time-ms <number>', 'milliseconds from block to block (default: 500)', wholeNumber(50))
    .addOption(
      new Option(
        '--commit-reveal <how>',
        'how weights are set: at once, or hidden for an epoch (by hash, or timelocked as on the network) (default: off)',
      ).choices(COMMIT_REVEAL),
    )
    .option('--no-open', 'do not open the dashboard in a browser')
    .addHelpText('after', '\nStarting again on the same home resumes. A second Ctrl-C does not wait for a clean stop.')
    .action(async (options: UpOptions, command: Command) => run(options, command));
}

async function run(options: UpOptions, command: Command): Promise<void> {
  const context = contextOf(command);
  const home = new Home(context.home);
  const { checkData, formatSpec } = await import('@quasar/train');
  const { requireAskedPorts, settle } = await import('../up/settings.ts');
  const { HomeLock } = await import('../up/lock.ts');
  const { LiveView } = await import('../up/live-view.ts');
  const { listenForInterrupts } = await import('../up/interrupts.ts');
  const { Supervisor } = await import('../up/supervisor.ts');
  const { describeResult } = await import('../up/result.ts');
  const { openBrowser } = await import('../up/open-browser.ts');

  requireAssets();
  const specs = await readSpecs(options.data ?? []);
  await checkData(specs);
  const asked = { ...options, data: specs.length === 0 ? undefined : specs.map(formatSpec) };
  // In a home that exists, the orphans of a killed run may still hold the ports: the lock waits for them first.
  let lock = existsSync(home.root) ? await HomeLock.take(home.lockFile) : null;
  const view = new LiveView(context);
  let supervisor: InstanceType<typeof Supervisor> | null = null;
  const interrupts = listenForInterrupts(() => {
    supervisor?.kill();
    lock?.release();
    process.exit(EXIT.interrupted);
  });
  try {
    await requireAskedPorts(asked);
    mkdirSync(home.root, { recursive: true });
    lock ??= await HomeLock.take(home.lockFile);
    if (options.fresh) home.wipe();
    const settings = await settle(home, asked, (line) => view.line(line));
    view.line(`home: ${home.root}`);
    supervisor = new Supervisor({
      home,
      settings,
      lock,
      view,
      signal: interrupts.signal,
      onDashboard(url) {
        view.line(`dashboard: ${url}`);
        if (options.open && process.stdout.isTTY && !context.json && process.env.CI === undefined) openBrowser(url);
      },
    });
    const result = await supervisor.run(options.rounds ?? null);
    view.end();
    view.line('stopping');
    await supervisor.stop();
    view.line('stopped; starting again on this home resumes');
    if (result === null) process.exitCode = EXIT.interrupted;
    else {
      if (context.json) context.note(describeResult(result));
      context.result(result, () => describeResult(result));
    }
  } finally {
    view.end();
    await supervisor?.stop();
    lock?.release();
    interrupts.dispose();
  }
}
