/** @file `quasar runs list | show | compare`: training runs, from the records that they keep. */
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { durationText, QuasarError, writeFileAtomic } from '@quasar/base';
import type { ComparedRun, KnownRun, RunRow } from '@quasar/train';
import { Command } from 'commander';
import { type Context, contextOf, fromCaller } from '../context.ts';
import { Home } from '../home.ts';
import { comparisonText } from '../runs/comparison-text.ts';
import { follow } from '../runs/follow.ts';
import { runReport, runText } from '../runs/run-text.ts';
import { table } from '../ui/table.ts';
import { openBrowser } from '../up/open-browser.ts';

const RUN = 'name, beginning of a name, or folder of a run';

export function runs(): Command {
  return new Command('runs')
    .description('Training runs: what there is, how they went, how they differ.')
    .addCommand(list())
    .addCommand(show())
    .addCommand(compare());
}

function list(): Command {
  return new Command('list')
    .description('List the runs that were started with this home, or those below a folder.')
    .argument('[folder]', 'look here instead')
    .action(async (folder: string | undefined, _options, command: Command) => {
      const context = contextOf(command);
      const { knownRuns, runRow, scanRuns } = await import('@quasar/train');
      const found = folder === undefined ? knownRuns(rootOf(context)) : scanRuns(fromCaller(folder));
      const rows = found.map(runRow).sort((a, b) => (a.startedAt ?? '').localeCompare(b.startedAt ?? ''));
      context.result({ runs: rows }, () => (rows.length === 0 ? 'no runs' : listText(rows)));
    });
}

function listText(rows: readonly RunRow[]): string {
  const figure = (value: number | null, digits: number) => value?.toFixed(digits) ?? '';
  return table(
    [
      { title: 'name', value: ({ name }) => name },
      { title: 'stage', value: ({ stage }) => stage },
      { title: 'state', value: ({ state }) => state },
      { title: 'step', isNumeric: true, value: ({ step, steps }) => (step === null ? '' : `${step}/${steps}`) },
      { title: 'loss', isNumeric: true, value: ({ loss }) => figure(loss, 4) },
      { title: 'held-out', isNumeric: true, value: ({ heldOut }) => figure(heldOut, 4) },
      { title: 'tokens/s', isNumeric: true, value: ({ tokensPerSecond }) => figure(tokensPerSecond, 0) },
      { title: 'started', value: ({ startedAt }) => startedAt?.slice(0, 16).replace('T', ' ') ?? '' },
      { title: 'MB', isNumeric: true, value: ({ sizeBytes }) => (sizeBytes / 1e6).toFixed(1) },
    ],
    rows,
  );
}

function show(): Command {
  return new Command('show')
    .description('Show one run: figures, evaluations, settings that differ from the defaults, its report.')
    .argument('<run>', RUN)
    .option('--follow', 'go on showing how a running one goes, until it ends or Ctrl-C')
    .option('--report', 'write the HTML report anew and open it')
    .action(async (name: string, options: { follow?: true; report?: true }, command: Command) => {
      const context = contextOf(command);
      const run = await load(context, name);
      if (options.report) {
        const { reportPage } = await import('@quasar/train');
        writeFileAtomic(run.folder.reportFile, reportPage(run.record, run.summary, run.state));
        if (process.stdout.isTTY) openBrowser(pathToFileURL(run.folder.reportFile).href);
      }
      if (options.follow) await follow(context, run);
      const shown = options.follow ? await load(context, name) : run;
      const report = await runReport(shown);
      context.result(report, () => runText(report));
    });
}

function compare(): Command {
  return new Command('compare')
    .description('Show where runs differ: settings, losses at equal steps and at equal tokens, how they ended.')
    .argument('<runs...>', `two or more: ${RUN}`)
    .option('--html <file>', 'also write a page with their plots over each other')
    .action(async (names: string[], options: { html?: string }, command: Command) => {
      const context = contextOf(command);
      if (names.length < 2)
        throw new QuasarError('usage.missing_argument', 'one run alone cannot be compared', {
          hint: 'name two or more',
        });
      const { compareRuns, comparePage } = await import('@quasar/train');
      const found: ComparedRun[] = [];
      for (const name of names) found.push(await load(context, name));
      const comparison = compareRuns(found);
      const html = options.html === undefined ? null : fromCaller(options.html);
      if (html !== null) writeFileAtomic(html, comparePage(found, comparison));
      context.result({ ...comparison, html }, () => comparisonText(comparison, html, durationText));
    });
}

const rootOf = (context: Context) => new Home(context.home).runsFolder;

export type LoadedRun = ComparedRun & KnownRun;

/** @throws QuasarError runs.unknown, runs.ambiguous, runs.damaged */
async function load(context: Context, text: string): Promise<LoadedRun> {
  const { findRun, readEvents, RunSummary, runState } = await import('@quasar/train');
  const root = rootOf(context);
  // A name may be a folder of the caller; with a slash it can be nothing else.
  const run = findRun(root, basename(text) === text ? text : fromCaller(text));
  const summary = RunSummary.of(readEvents(run.folder.eventsFile));
  return { ...run, ...run.folder.readRecord(), summary, state: runState(run.folder, summary.end) };
}
