/**
 * @file Several items as one conversation: a training document, or (without its last turn) the prompt of a duel.
 *
 * Each item keeps its own turns. A system turn in the middle holds until the next one; no task has a system turn that
 * would change how the items of another task are to be answered.
 */
import { type GenerateOptions, generateItem, type Split } from './seed.ts';
import type { WorldItem, WorldMessage } from './types.ts';

export interface WorldConversation {
  items: WorldItem[];
  /** Every turn, right answers included; the last one is the answer of the last item. */
  messages: WorldMessage[];
}

/** `turns` items (default 4) drawn independently, in one conversation. Leave out the last message to ask the last question. */
export function generateConversation(
  seed: string,
  split: Split,
  options: GenerateOptions & { turns?: number | undefined } = {},
): WorldConversation {
  const items = Array.from({ length: options.turns ?? 4 }, (_, turn) =>
    generateItem(`${seed}/${turn}`, split, options),
  );
  return { items, messages: items.flatMap(itemMessages) };
}

/** The turns of one item with its right answer as the last one. */
export function itemMessages(item: WorldItem): WorldMessage[] {
  return [...item.messages, { role: 'assistant', content: item.answer }];
}
