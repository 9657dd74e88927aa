/** @file What a teacher is asked for its traces: questions of the world, pieces of a text, or prompts of a file. */
import { QuasarError, sha256Hex } from '@quasar/base';
import type { TracePrompts } from '@quasar/infer';
import { type ChatMessage, encodeChat, encodeChatForTraining, type Tokenizer } from '@quasar/model';
import { generateConversation } from '@quasar/world';
import type { Source } from './source.ts';

/** Draws of a question before one that is too long is an error. */
const MAX_DRAWS = 64;

/**
 * Questions of the world's train split, as those of a duel: `turns` - 1 questions with their answers, then one without.
 * @throws QuasarError data.prompt_too_long, from `prompt`, where hardly any question is short enough
 */
export function worldPrompts(
  tokenizer: Tokenizer,
  options: { seed: string; turns: number; maxPromptTokens: number },
): TracePrompts {
  const { seed, turns, maxPromptTokens } = options;
  return {
    description: { source: 'world', ...options },
    prompt(index) {
      for (let draw = 0; draw < MAX_DRAWS; draw++) {
        const { messages } = generateConversation(`${seed}/prompt/${index}/${draw}`, 'train', { turns });
        const question = asked(tokenizer, messages);
        if (question.ids.length <= maxPromptTokens) return question;
      }
      const what = `${MAX_DRAWS} questions of ${turns} turns in a row have more than ${maxPromptTokens} tokens`;
      throw new QuasarError('data.prompt_too_long', `prompt ${index}: ${what}`, {
        hint: 'allow longer prompts, or ask for fewer turns',
      });
    },
  };
}

/**
 * Pieces of the documents of a source: a prompt, and what follows it.
 * @param source whose windows are mostly as long as prompt and continuation together
 * @throws QuasarError data.too_short, from `prompt`, where hardly any document is long enough
 */
export function textPrompts(
  source: Source,
  options: { seed: string; promptTokens: number; continuationTokens: number },
): TracePrompts {
  const { seed, promptTokens, continuationTokens } = options;
  const length = promptTokens + continuationTokens;
  return {
    description: { source: 'text', data: source.fingerprint ?? source.name, ...options },
    prompt(index) {
      for (let draw = 0; draw < MAX_DRAWS; draw++) {
        const { ids } = source.open(`${seed}/prompt/${index}/${draw}`).next();
        if (ids.length < length) continue;
        return { ids: ids.slice(0, promptTokens), continuation: ids.slice(promptTokens, length) };
      }
      const what = `${MAX_DRAWS} pieces of the text in a row have less than ${length} tokens`;
      throw new QuasarError('data.too_short', `prompt ${index}: ${what}`, {
        hint: 'give longer documents, or ask for shorter prompts',
      });
    },
  };
}

/**
 * Prompts of a JSONL file, one object per line: `{"messages": [...]}`, where a last message of the assistant is what follows
 * the prompt, or `{"prompt": "..."}` and perhaps `"completion"`, as they stand.
 * @throws QuasarError data.bad_jsonl
 */
export function listedPrompts(tokenizer: Tokenizer, jsonl: string, name: string): TracePrompts & { count: number } {
  const lines = jsonl.split('\n').flatMap((line, i) => (line.trim() === '' ? [] : [{ line, number: i + 1 }]));
  const bad = (number: number, what: string) =>
    new QuasarError('data.bad_jsonl', `${name}:${number}: ${what}`, {
      hint: 'one object per line, {"messages": [...]} or {"prompt": "..."}',
    });
  if (lines.length === 0) throw bad(1, 'no prompts');
  const read = ({ line, number }: { line: string; number: number }) => {
    let value: { messages?: unknown; prompt?: unknown; completion?: unknown } | null;
    try {
      value = JSON.parse(line);
    } catch {
      throw bad(number, 'no JSON');
    }
    const { messages, prompt, completion } = value ?? {};
    if (isConversation(messages)) return asked(tokenizer, messages);
    if (typeof prompt !== 'string' || prompt === '') throw bad(number, 'neither messages nor a prompt');
    return {
      ids: tokenizer.encode(prompt),
      ...(typeof completion === 'string' ? { continuation: tokenizer.encode(completion) } : {}),
    };
  };
  for (const line of lines) read(line);
  return {
    count: lines.length,
    description: { source: 'file', sha256: sha256Hex(jsonl) },
    prompt: (index) => read(lines[index % lines.length] as (typeof lines)[number]),
  };
}

/** A conversation up to the reply that is wanted; where it ends with a reply, that one is what follows. */
function asked(tokenizer: Tokenizer, messages: readonly ChatMessage[]) {
  const hasReply = messages.at(-1)?.role === 'assistant';
  const before = hasReply ? messages.slice(0, -1) : messages;
  const ids = encodeChat(tokenizer, before, { addGenerationPrompt: true });
  if (!hasReply) return { ids, messages: before };
  return { ids, messages: before, continuation: encodeChatForTraining(tokenizer, messages).ids.slice(ids.length) };
}

const ROLES = ['system', 'user', 'assistant', 'tool'];

function isConversation(messages: unknown): messages is ChatMessage[] {
  if (!Array.isArray(messages) || messages.length === 0) return false;
  return messages.every(
    (message: Partial<ChatMessage> | null) =>
      typeof message?.content === 'string' && typeof message.role === 'string' && ROLES.includes(message.role),
  );
}
