/** @file `quasar model info | init | bench`: what a model is and costs, a fresh one of any size, and how fast one runs. */
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { contextOf, fromCaller, REPOSITORY } from '../context.ts';
import { describe, gb } from '../model/describe.ts';
import { findConfig } from '../model/find-config.ts';
import { graftBase, graftBaseOption, wholeNumber } from '../options.ts';
import { startProgress } from '../ui/progress.ts';
import { record } from '../ui/table.ts';

const NAME = 'a size such as nano or 3b, a config.json, or the folder of a checkpoint';

export function model(): Command {
  return new Command('model').description('Models.').addCommand(info()).addCommand(init()).addCommand(bench());
}

function info(): Command {
  return new Command('info')
    .description('Show layers, parameters by part, state, operations and memory of a model.')
    .argument('<name>', NAME)
    .action(async (name: string, _options, command: Command) => {
      const { modelInfo, readRecordedBase } = await import('@quasar/model');
      const config = await findConfig(name);
      const info = modelInfo(config);
      const base = config.model_type === 'quasar_graft' ? readRecordedBase(fromCaller(name)) : null;
      contextOf(command).result({ name, ...info, base, config }, () => {
        const text = describe(name, info, config.vocab_size);
        return base ? `${text}\nbranches upon ${base.folder}, whose weights have sha256 ${base.sha256}` : text;
      });
    });
}

interface InitFlags {
  out: string;
  seed: string;
  dtype: 'bf16' | 'f32';
  shardSize: number;
  tokenizer: string;
}

function init(): Command {
  return new Command('init')
    .description('Write a fresh model of any size, drawn from a seed. An interrupted call can be repeated and goes on.')
    .argument('<name>', NAME)
    .requiredOption('--out <folder>', 'where the checkpoint goes')
    .option('--seed <text>', 'of the weights', '0')
    .addOption(new Option('--dtype <type>', 'of the weights').choices(['bf16', 'f32']).default('bf16'))
    .option('--shard-size <bytes>', 'most bytes of weights in one file, such as 500MB or 5GB', bytes, 5e9)
    .addOption(
      new Option('--tokenizer <file>', 'tokenizer.json of the model').default(
        join(REPOSITORY, 'assets/tokenizer.json'),
        'assets/tokenizer.json',
      ),
    )
    .action(async (name: string, options: InitFlags, command: Command) => {
      const context = contextOf(command);
      const { initCheckpoint, Tokenizer } = await import('@quasar/model');
      const config = await findConfig(name);
      const folder = fromCaller(options.out);
      const progress = startProgress(context, `write ${name}`);
      const startedAtMs = performance.now();
      let sizeBytes = 0;
      const files = await initCheckpoint(folder, config, Tokenizer.load(fromCaller(options.tokenizer)), {
        seed: options.seed,
        dtype: options.dtype === 'f32' ? 'F32' : 'BF16',
        shardBytes: options.shardSize,
        onProgress(done, total) {
          sizeBytes = total;
          progress.update(done, total, gb(done));
        },
      }).finally(() => progress.end());
      const seconds = (performance.now() - startedAtMs) / 1000;
      context.result(
        { folder, files, sizeBytes, seconds },
        `${folder}: ${gb(sizeBytes)} in ${files.length === 1 ? 'one file' : `${files.length} shards`}, ${seconds.toFixed(0)} s`,
      );
    });
}

function bench(): Command {
  return new Command('bench')
    .description('Load a checkpoint and measure memory, prefill and decoding beside the limit that memory sets.')
    .argument('<folder>', 'a checkpoint')
    .addOption(graftBaseOption())
    .option('--prefill <tokens>', 'tokens of the prompt', wholeNumber(1), 512)
    .option('--decode <tokens>', 'tokens to decode', wholeNumber(1), 64)
    .action(async (folder: string, options: { base?: string; prefill: number; decode: number }, command: Command) => {
      const context = contextOf(command);
      const { benchModel } = await import('../model/bench.ts');
      const progress = startProgress(context, 'load');
      const result = await benchModel(fromCaller(folder), {
        ...options,
        ...graftBase(options),
        onLoad: (done, total) => progress.update(done, total, gb(done)),
        onStep: (what) => {
          progress.end();
          context.note(what);
        },
      });
      const { load, prefill, decode, state, roomBytes, peakBytes } = result;
      const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
      context.result(result, () =>
        record({
          load: `${gb(load.bytes)} in ${load.seconds.toFixed(1)} s`,
          prefill: `${prefill.tokensPerS.toFixed(1)} tokens/s (${prefill.tokens} tokens)`,
          decode: `${decode.tokensPerS.toFixed(2)} tokens/s (${decode.tokens} tokens)`,
          'decode reads': `${gb(decode.bytesPerToken)} of weights per token: ${decode.readGBs.toFixed(1)} GB/s`,
          limit: `${decode.limitGBs.toFixed(1)} GB/s read: ${(100 * decode.share).toFixed(0)} % of it`,
          state: state.map(({ tokens, bytes }) => `${mib(bytes)} at token ${tokens}`).join(', '),
          ...(roomBytes > 0 && { 'room in caches': mib(roomBytes) }),
          'peak memory': `${(peakBytes / 2 ** 30).toFixed(2)} GiB`,
        }),
      );
    });
}

const UNITS: Record<string, number> = { '': 1, KB: 1e3, MB: 1e6, GB: 1e9, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 };

/** `5GB`, `500 MiB`, `1000000`. */
function bytes(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([KMG]i?B)?$/i.exec(text) ?? [];
  const value = Math.floor(Number(digits) * (UNITS[unit.toUpperCase()] ?? 0));
  if (digits !== '' && value >= 1) return value;
  throw new InvalidArgumentError('Expected a number of bytes such as 500MB, 5GB or 2GiB.');
}
