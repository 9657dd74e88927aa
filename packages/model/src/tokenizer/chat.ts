/**
 * @file The one chat template.
 *
 *     <|bos|> ( <|role|> content <|end|> )*  [ <|assistant|> ]
 *
 * Nothing stands between the special tokens and the content, and the content is plain text: it cannot close its turn
 * or open another. Templates of other people are never rendered.
 */
import { QuasarError } from '@quasar/base';
import type { Tokenizer } from './tokenizer.ts';

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
}

const ROLES = ['system', 'user', 'assistant', 'tool'] as const;

/** Ids of a conversation; with `addGenerationPrompt` the next token is the first of the reply. @throws QuasarError `tokenizer.unknown_role` */
export function encodeChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: { addGenerationPrompt: boolean },
): Int32Array {
  const { ids } = encodeTurns(tokenizer, messages);
  if (options.addGenerationPrompt) ids.push(tokenizer.specials.assistant);
  return Int32Array.from(ids);
}

/**
 * Ids of a whole conversation, and which of them the model is to produce: the content of assistant turns and the
 * `<|end|>` that closes them. @throws QuasarError `tokenizer.unknown_role`
 * @returns ids [T], isTarget [T] of 0 and 1; `isTarget[t]` belongs to the prediction of `ids[t]`
 */
export function encodeChatForTraining(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
): { ids: Int32Array; isTarget: Uint8Array } {
  const { ids, isTarget } = encodeTurns(tokenizer, messages);
  return { ids: Int32Array.from(ids), isTarget: Uint8Array.from(isTarget) };
}

function encodeTurns(tokenizer: Tokenizer, messages: readonly ChatMessage[]): { ids: number[]; isTarget: number[] } {
  const { specials } = tokenizer;
  const ids = [specials.bos];
  const isTarget = [0];
  const push = (id: number, target: number) => {
    ids.push(id);
    isTarget.push(target);
  };
  for (const [i, { role, content }] of messages.entries()) {
    if (!ROLES.includes(role)) {
      throw new QuasarError('tokenizer.unknown_role', `messages/${i}: role ${JSON.stringify(role)}`, {
        hint: `use one of ${ROLES.join(', ')}`,
      });
    }
    const target = role === 'assistant' ? 1 : 0;
    push(specials[role], 0);
    for (const id of tokenizer.encode(content)) push(id, target);
    push(specials.end, target);
  }
  return { ids, isTarget };
}
