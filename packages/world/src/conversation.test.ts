import { expect, test } from 'vitest';
import { generateConversation, itemMessages } from './conversation.ts';
import { checkReply, splitOf } from './seed.ts';

test('a conversation is its items, one after another, each with its answer', () => {
  const { items, messages } = generateConversation('seed', 'contest', { turns: 5 });
  expect(items).toHaveLength(5);
  expect(messages).toEqual(items.flatMap(itemMessages));
  expect(messages.at(-1)).toEqual({ role: 'assistant', content: items[4]!.answer });
  for (const item of items) {
    expect(splitOf(item)).toBe('contest');
    expect(checkReply(item, item.answer).correct).toBe(true);
  }
  expect(new Set(items.map((item) => item.content)).size).toBe(5);
});

test('equal seeds give equal conversations; options reach the items', () => {
  expect(generateConversation('a', 'train').items).toHaveLength(4);
  const options = { turns: 3, tasks: ['recall'], level: 2 };
  const one = generateConversation('a', 'train', options);
  expect(one).toEqual(generateConversation('a', 'train', options));
  expect(one).not.toEqual(generateConversation('b', 'train', options));
  expect(one.items.every((item) => item.task === 'recall' && item.level === 2)).toBe(true);
});
