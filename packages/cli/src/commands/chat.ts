/** @file `quasar chat`: talk to a local checkpoint, word by word as it answers; or let one that learned from plain text go on. */
import { createInterface } from 'node:readline';
import type { Engine } from '@quasar/infer';
import type { ChatMessage } from '@quasar/model';
import { Command, InvalidArgumentError } from 'commander';
import { type Context, contextOf, fromCaller } from '../context.ts';
import { graftBase, graftBaseOption, wholeNumber } from '../options.ts';
import { listenForStop } from '../service.ts';

interface ChatFlags {
  base?: string;
  plain?: true;
  maxTokens: number;
  temperature: number;
  topP: number;
  seed: string;
}

export function chat(): Command {
  return new Command('chat')
    .description('Talk to a checkpoint: a line is a message. Reads standard input to its end; Ctrl-C stops an answer.')
    .argument('<folder>', 'a checkpoint, such as what `quasar pretrain`, `speedrun` or `graft` wrote')
    .addOption(graftBaseOption())
    .option('--plain', 'no chat template: go on with the line as text, for models of plain text')
    .option('--max-tokens <number>', 'of an answer', wholeNumber(1), 200)
    .option('--temperature <number>', '0 takes the most likely token', range(0, 10), 0.8)
    .option('--top-p <number>', 'keep the likeliest tokens of this share', range(0, 1), 0.95)
    .option('--seed <text>', 'equal seeds give equal answers', '0')
    .action(async (folder: string, options: ChatFlags, command: Command) => {
      const { Engine } = await import('@quasar/infer');
      const engine = await Engine.load(fromCaller(folder), graftBase(options));
      try {
        await converse(engine, options, contextOf(command));
      } finally {
        engine.dispose();
      }
    });
}

function range(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`Expected a number from ${low} to ${high}.`);
  };
}

/** Line by line until the input ends. With `--json` nothing is streamed, and all turns come at the end. */
async function converse(engine: Engine, options: ChatFlags, context: Context): Promise<void> {
  const isTerminal = process.stdin.isTTY === true && !context.json;
  const lines = createInterface({ input: process.stdin });
  const turns: { prompt: string; answer: string }[] = [];
  const messages: ChatMessage[] = [];
  const ask = () => isTerminal && process.stderr.write('> ');
  ask();
  for await (const line of lines) {
    if (line.trim() !== '') {
      messages.push({ role: 'user', content: line });
      const prompt = await encode(engine, options, messages);
      const answer = await reply(engine, prompt, { ...options, seed: `${options.seed}/${turns.length}` }, (text) => {
        if (!context.json) process.stdout.write(text);
      });
      if (!context.json) process.stdout.write('\n');
      messages.push({ role: 'assistant', content: answer });
      turns.push({ prompt: line, answer });
    }
    ask();
  }
  if (context.json) context.result({ turns }, '');
}

async function encode(engine: Engine, { plain }: ChatFlags, messages: readonly ChatMessage[]): Promise<Int32Array> {
  const { encodeChat } = await import('@quasar/model');
  if (plain) return engine.tokenizer.encode((messages.at(-1) as ChatMessage).content);
  return encodeChat(engine.tokenizer, messages, { addGenerationPrompt: true });
}

/** @param onText gets each piece as it comes @returns all of it */
async function reply(
  engine: Engine,
  prompt: Int32Array,
  { maxTokens, temperature, topP, seed }: ChatFlags,
  onText: (text: string) => void,
): Promise<string> {
  const { TokenDecoder } = await import('@quasar/model');
  const { QuasarError } = await import('@quasar/base');
  const decoder = new TokenDecoder(engine.tokenizer);
  const stopping = listenForStop();
  let answer = '';
  const say = (text: string) => {
    answer += text;
    onText(text);
  };
  try {
    const settings = { maxNewTokens: maxTokens, temperature, topP, seed, signal: stopping.signal };
    for await (const { token } of engine.stream(prompt, settings)) say(decoder.push(token));
  } catch (error) {
    if (!(error instanceof QuasarError && error.code === 'infer.cancelled')) throw error;
  } finally {
    stopping.dispose();
  }
  say(decoder.flush());
  return answer;
}
