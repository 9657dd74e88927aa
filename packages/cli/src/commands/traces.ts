/** @file `quasar traces make | info | check | import | publish`: what a teacher thinks, written once and shared. */
import { existsSync } from 'node:fs';
import { QuasarError } from '@quasar/base';
import { Command, InvalidArgumentError, Option } from 'commander';
import { contextOf, fromCaller } from '../context.ts';
import { DATA_HELP, withDataDetails } from '../data-options.ts';
import { EXIT } from '../exit-codes.ts';
import { Home } from '../home.ts';
import { netUrls } from '../net-options.ts';
import { wholeNumber } from '../options.ts';
import { listenForStop } from '../service.ts';
import { describeTraces, summaryOf } from '../traces/describe.ts';
import { type MakeTracesFlags, openPrompts, openTeacher } from '../traces/make-options.ts';
import { startProgress } from '../ui/progress.ts';

const DEFAULT_TOKENIZER = 'assets/tokenizer.json';

export function traces(): Command {
  return new Command('traces')
    .description('Teacher traces: made once, checked, and shared between miners.')
    .addCommand(make())
    .addCommand(info())
    .addCommand(check())
    .addCommand(importVerb())
    .addCommand(publish());
}

function make(): Command {
  return withDataDetails(new Command('make'))
    .description(
      'Ask a teacher, and write what it says and thinks. Run again with the same flags to go on or to get more.',
    )
    .requiredOption('--out <folder>', 'where the files of traces go')
    .addOption(new Option('--teacher <folder>', 'a checkpoint that teaches').conflicts('url'))
    .option('--url <url>', 'an OpenAI-compatible server with log-probabilities that teaches')
    .option('--model <name>', 'of the server (default: its only one)')
    .addOption(new Option('--endpoint <name>', 'of the server (default: what it has)').choices(['completions', 'chat']))
    .option('--key-env <variable>', 'environment variable that holds the key of the server', 'QUASAR_TEACHER_KEY')
    .option('--parallel <number>', 'requests to the server at a time', wholeNumber(1, 256), 8)
    .option('--tokenizer <file>', `tokenizer.json of the student, for --url (default: ${DEFAULT_TOKENIZER})`)
    .option('--count <number>', 'traces in all (default: 1000, or the lines of --prompts)', wholeNumber(1))
    .addOption(
      new Option(
        '--data <what...>',
        `prompts are pieces of this, in place of questions of the world: ${DATA_HELP}`,
      ).conflicts('prompts'),
    )
    .option('--prompts <file>', 'prompts are the lines of this file: {"messages": [...]} or {"prompt": "..."}')
    .option('--given', 'let the teacher judge what follows the prompts, instead of going on by itself')
    .option('--turns <number>', 'questions of a conversation of the world', wholeNumber(1, 16), 1)
    .option(
      '--prompt-tokens <number>',
      'most tokens of a question; all pieces of --data have as many',
      wholeNumber(1),
      256,
    )
    .option('--tokens <number>', 'tokens of a continuation', wholeNumber(1), 128)
    .option('--until-end', 'let a continuation end where the teacher ends its turn')
    .option('--top-k <number>', 'most likely tokens of each position', wholeNumber(1, 1024), 128)
    .option('--temperature <number>', 'of the continuations', ratio(2), 0.7)
    .option('--top-p <number>', 'of the continuations', ratio(1), 0.9)
    .option('--seed <text>', 'of prompts and continuations', '0')
    .addOption(new Option('--precision <type>', 'of log-probabilities').choices(['f16', 'f32']).default('f16'))
    .action(async (options: MakeTracesFlags & { out: string }, command: Command) => {
      const context = contextOf(command);
      const { makeTraceSet } = await import('@quasar/infer');
      const stopping = listenForStop();
      const progress = startProgress(context, 'traces');
      const directory = fromCaller(options.out);
      try {
        const teacher = await openTeacher(options, stopping.signal);
        try {
          const { prompts, count } = await openPrompts(context, options, teacher.tokenizer, stopping.signal);
          const startedAtMs = performance.now();
          let tokens = 0;
          const result = await makeTraceSet({
            ...{ directory, teacher, prompts, count, signal: stopping.signal },
            mode: options.given ? 'score' : 'generate',
            topK: options.topK,
            precision: options.precision,
            maxNewTokens: options.tokens,
            temperature: options.temperature,
            topP: options.topP,
            seed: options.seed,
            untilEnd: options.untilEnd === true,
            onProgress(made) {
              tokens = made.tokens;
              const speed = `${Math.round(made.tokensPerSecond)} tokens/s`;
              progress.update(made.done, made.count, `${made.done} of ${made.count}  ${speed}`);
            },
          });
          progress.end();
          const seconds = (performance.now() - startedAtMs) / 1000;
          context.result(
            { directory, ...result, tokens, seconds },
            `${directory}: ${result.found} traces were there, ${result.made} made: ${tokens} tokens in ${seconds.toFixed(1)} s`,
          );
        } finally {
          teacher.dispose();
        }
      } catch (error) {
        progress.end();
        if (!(error instanceof QuasarError) || error.code !== 'infer.cancelled' || !stopping.signal.aborted)
          throw error;
        context.note(`quasar: ${error.message}; whole files are kept: run the same command again to go on`);
        process.exitCode = EXIT.interrupted;
      } finally {
        stopping.dispose();
      }
    });
}

/** A number above 0 (or 0, for greedy choices) up to `high`. */
function ratio(high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= 0 && value <= high) return value;
    throw new InvalidArgumentError(`Expected a number from 0 to ${high}.`);
  };
}

function info(): Command {
  return new Command('info')
    .description('Show who made the traces of a folder, how many there are, and what they cost in bytes.')
    .argument('<folder>', 'of traces')
    .action(async (folder: string, _options, command: Command) => {
      const { TraceSet } = await import('@quasar/infer');
      const summary = await summaryOf(TraceSet.open(fromCaller(folder)));
      contextOf(command).result(summary, () => describeTraces(folder, summary));
    });
}

function check(): Command {
  return new Command('check')
    .description('Read every trace of a folder, strictly, and compare each file with the digest in its name.')
    .argument('<folder>', 'of traces')
    .action(async (folder: string, _options, command: Command) => {
      const context = contextOf(command);
      const { TraceSet, verifyTraceFile } = await import('@quasar/infer');
      const set = TraceSet.open(fromCaller(folder));
      const progress = startProgress(context, 'check');
      try {
        for (const [i, file] of set.files.entries()) {
          await verifyTraceFile(file);
          progress.update(i + 1, set.files.length);
        }
      } finally {
        progress.end();
      }
      const facts = { folder: set.directory, files: set.files.length, traces: set.length };
      context.result(facts, `OK: ${facts.traces} traces in ${facts.files} files`);
    });
}

interface HubFlags {
  hub?: string;
  tokenEnv: string;
}

function withHubOptions(command: Command): Command {
  return command
    .option('--hub <url>', 'URL of the hub, such as https://huggingface.co (default: that of the home)')
    .option('--token-env <variable>', 'environment variable that holds the token of the hub', 'HF_TOKEN');
}

async function openHub(options: HubFlags, command: Command) {
  const home = new Home(contextOf(command).home);
  const { createHubClient } = await import('@quasar/hub');
  const { hub: url } = netUrls(options, home);
  return createHubClient({ url, cacheDirectory: home.cacheFolder('traces'), token: process.env[options.tokenEnv] });
}

function importVerb(): Command {
  return withHubOptions(new Command('import'))
    .description('Add traces of others to a folder, each file checked first.')
    .argument('<from...>', 'files, folders, or data sets datasets/owner/name[@revision] on the hub')
    .requiredOption('--out <folder>', 'that gets them')
    .option('--max-gigabytes <number>', 'most to download', wholeNumber(1), 20)
    .action(async (from: string[], options: HubFlags & { out: string; maxGigabytes: number }, command: Command) => {
      const { importTraces } = await import('@quasar/infer');
      const { downloadTraces } = await import('../traces/hub.ts');
      const stopping = listenForStop();
      try {
        const paths: string[] = [];
        for (const each of from) {
          if (existsSync(fromCaller(each)) || !each.startsWith('datasets/')) paths.push(fromCaller(each));
          else {
            const limits = { maxTotalBytes: options.maxGigabytes * 1e9, signal: stopping.signal };
            paths.push(...(await downloadTraces(await openHub(options, command), each, limits)));
          }
        }
        const folder = fromCaller(options.out);
        const { added } = await importTraces(folder, paths);
        contextOf(command).result({ folder, added }, `${folder}: ${added.length} new files of traces`);
      } finally {
        stopping.dispose();
      }
    });
}

function publish(): Command {
  return withHubOptions(new Command('publish'))
    .description('Put the traces of a folder into a data set on the hub, each file checked first.')
    .argument('<folder>', 'of traces')
    .requiredOption('--to <repository>', 'owner/name of the data set; made when absent')
    .action(async (folder: string, options: HubFlags & { to: string }, command: Command) => {
      const { TraceSet, verifyTraceFile } = await import('@quasar/infer');
      const { publishTraces } = await import('../traces/hub.ts');
      const set = TraceSet.open(fromCaller(folder));
      for (const file of set.files) await verifyTraceFile(file);
      const repo = `datasets/${options.to.replace(/^datasets\//, '')}`;
      const { revision } = await publishTraces(await openHub(options, command), repo, set);
      contextOf(command).result({ repo, revision, files: set.files.length }, `${repo}@${revision}`);
    });
}
