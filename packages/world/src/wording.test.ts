import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkReply, generateItem, splitOf } from './seed.ts';
import { ALL_TASKS } from './tasks/index.ts';
import { reword, WORDING_CHANGES } from './wording.ts';

const last = (item: { messages: { content: string }[] }) => item.messages.at(-1)!.content;
const items = ALL_TASKS.flatMap(({ name, levels }) =>
  Array.from({ length: levels * 4 }, (_, i) => generateItem(`${i}`, 'contest', { tasks: [name], level: i % levels })),
);

describe('reword', () => {
  test('changes nothing but the wording of the last user turn, the same way every time', () => {
    fc.assert(
      fc.property(fc.constantFrom(...items), fc.string(), fc.subarray([...WORDING_CHANGES]), (item, seed, changes) => {
        const other = reword(item, seed, changes);
        expect(reword(item, seed, changes)).toEqual(other);
        expect({ ...other, messages: [] }).toEqual({ ...item, messages: [] });
        expect(splitOf(other)).toBe('contest');
        expect(checkReply(other, item.answer).correct).toBe(true);
        const at = item.messages.findLastIndex(({ role }) => role === 'user');
        expect(other.messages.toSpliced(at, 1)).toEqual(item.messages.toSpliced(at, 1));
      }),
    );
  });

  test('keeps every number, and every word of what is asked', () => {
    for (const item of items) {
      const [before, after] = [last(item), last(reword(item, '0xseed', WORDING_CHANGES))];
      expect(after.match(/\d+/g)).toEqual(before.match(/\d+/g));
      for (const word of item.content.match(/\b[a-z]{3,}\b/g) ?? [])
        expect(new RegExp(`\\b${word}\\b`, 'i').test(after), `${word} in ${after}`).toBe(
          new RegExp(`\\b${word}\\b`, 'i').test(before),
        );
    }
  });

  test('programs stay as they are', () => {
    for (const item of items.filter(({ task }) => task.endsWith('program') && task !== 'write_program'))
      expect(last(reword(item, 's', WORDING_CHANGES)).endsWith(item.content)).toBe(true);
  });

  test('other seeds change other things; most items change for some seed', () => {
    const versions = (item: (typeof items)[number]) =>
      new Set(Array.from({ length: 12 }, (_, seed) => last(reword(item, `${seed}`, WORDING_CHANGES)))).size;
    expect(items.filter((item) => versions(item) > 2).length).toBeGreaterThan(items.length / 2);
  });

  test.each([
    ['question', 'Find the code.', 'Could you find the code?'],
    ['synonym', 'Please compute it.', 'Kindly'],
  ] as const)('%s: %s', (change, content, wanted) => {
    const item = { ...items[0]!, content: '', answer: '', messages: [{ role: 'user' as const, content }] };
    const all = Array.from({ length: 12 }, (_, seed) => last(reword(item, `${seed}`, [change])));
    expect(all.some((text) => text.startsWith(wanted))).toBe(true);
    expect(all).toContain(content);
  });
});
