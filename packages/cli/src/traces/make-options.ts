/** @file The teacher and the prompts that the flags of `quasar traces make` name. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { QuasarError } from '@quasar/base';
import type { Teacher, TracePrompts } from '@quasar/infer';
import type { Tokenizer } from '@quasar/model';
import { type Context, fromCaller, REPOSITORY } from '../context.ts';
import { type DataFlags, readSpecs, stageData } from '../data-options.ts';

export interface MakeTracesFlags extends DataFlags {
  teacher?: string;
  url?: string;
  model?: string;
  endpoint?: 'completions' | 'chat';
  keyEnv: string;
  parallel: number;
  tokenizer?: string;
  count?: number;
  prompts?: string;
  given?: true;
  turns: number;
  promptTokens: number;
  tokens: number;
  untilEnd?: true;
  topK: number;
  temperature: number;
  topP: number;
  seed: string;
  precision: 'f16' | 'f32';
}

const DEFAULT_COUNT = 1000;

/** @throws QuasarError usage.no_teacher; as `LocalTeacher.load`, `OpenAiTeacher.connect` */
export async function openTeacher(options: MakeTracesFlags, signal: AbortSignal): Promise<Teacher> {
  const { LocalTeacher, OpenAiTeacher } = await import('@quasar/infer');
  if (options.teacher !== undefined) return LocalTeacher.load(fromCaller(options.teacher));
  if (options.url === undefined) {
    throw new QuasarError('usage.no_teacher', 'who teaches?', { hint: 'give --teacher <folder> or --url <url>' });
  }
  const { Tokenizer } = await import('@quasar/model');
  const tokenizerPath = options.tokenizer ?? `${REPOSITORY}/assets/tokenizer.json`;
  return OpenAiTeacher.connect({
    url: options.url,
    model: options.model,
    endpoint: options.endpoint,
    tokenizer: Tokenizer.load(fromCaller(tokenizerPath)),
    topK: options.topK,
    keyVariable: options.keyEnv,
    parallel: options.parallel,
    signal,
  });
}

/** @throws QuasarError data.* */
export async function openPrompts(
  context: Context,
  options: MakeTracesFlags,
  tokenizer: Tokenizer,
  signal: AbortSignal,
): Promise<{ prompts: TracePrompts; count: number }> {
  const { corpusSources, listedPrompts, textPrompts, worldPrompts } = await import('@quasar/train');
  const { seed, turns, promptTokens, tokens } = options;
  const count = options.count ?? DEFAULT_COUNT;
  if (options.data !== undefined) {
    const data = await stageData(context, await readSpecs(options.data), options);
    const { train } = await corpusSources(tokenizer, { data, signal }, promptTokens + tokens - 1);
    return { count, prompts: textPrompts(train, { seed, promptTokens, continuationTokens: tokens }) };
  }
  if (options.prompts !== undefined) {
    const prompts = listedPrompts(tokenizer, readPrompts(fromCaller(options.prompts)), basename(options.prompts));
    return { prompts, count: options.count ?? prompts.count };
  }
  return { count, prompts: worldPrompts(tokenizer, { seed, turns, maxPromptTokens: promptTokens }) };
}

function readPrompts(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new QuasarError('data.unreadable', `--prompts ${path}: cannot read it`, { hint: 'give a JSONL file', cause });
  }
}
