import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_REPLY_CHARS } from '../check.ts';
import { checkReply, generateItem } from '../seed.ts';
import type { WorldItem } from '../types.ts';
import { TASKS } from './index.ts';

const cases = TASKS.flatMap(({ name, levels }) => Array.from({ length: levels }, (_, level) => [name, level] as const));

function draw(task: string, level: number, count = 200): WorldItem[] {
  return Array.from({ length: count }, (_, i) => generateItem(`${i}`, 'contest', { tasks: [task], level }));
}

/** Changes the first letter or digit: no longer the answer, whatever the task. */
function spoil(answer: string): string {
  return answer.replace(/[\p{L}\p{N}]/u, (char) => (char === '8' ? '9' : '8'));
}

describe.each(cases)('%s, level %i', (task, level) => {
  const items = draw(task, level);

  test('has an item in every field and a right answer that checks', () => {
    for (const item of items) {
      expect(item).toMatchObject({ task, level });
      expect(['user', 'tool']).toContain(item.messages.at(-1)?.role);
      expect(checkReply(item, item.answer)).toMatchObject({ correct: true });
      expect(checkReply(item, `  ${item.answer.replaceAll(' ', '  ')}\n`)).toMatchObject({ correct: true });
    }
  });

  test('refuses wrong replies', () => {
    for (const item of items) {
      const { answer } = item;
      for (const reply of [
        '',
        ' ',
        spoil(answer),
        `${answer} ${answer}`,
        `so ${answer}`,
        `${answer} so`,
        answer.slice(1),
      ]) {
        expect(checkReply(item, reply), `${JSON.stringify(reply)} for ${answer}`).toMatchObject({ correct: false });
      }
    }
  });

  test('stays short', () => {
    for (const item of items) {
      const promptChars = item.messages.reduce((sum, message) => sum + message.content.length, 0);
      expect(promptChars).toBeLessThanOrEqual([100, 120, 140, 240][level]!);
      expect(item.answer.length).toBeLessThanOrEqual(64);
    }
  });

  test('judges any reply without throwing', () => {
    const reply = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.constantFrom('\ud800', '\u0000', '\u202e7', '[', '[['.repeat(400), '{"__proto__":{}}', 'null', '{"name":1}'),
      fc.constantFrom(' '.repeat(MAX_REPLY_CHARS), 'a'.repeat(1e6), `${items[0]!.answer}${' '.repeat(1e6)}`),
      fc.constantFrom(null, undefined, 7, {}).map((value) => value as unknown as string),
    );
    fc.assert(
      fc.property(fc.constantFrom(...items), reply, (item, text) => {
        const verdict = checkReply(item, text);
        expect(verdict.reason.length).toBeLessThan(60);
        if (typeof text !== 'string' || text.length > MAX_REPLY_CHARS) expect(verdict.correct).toBe(false);
      }),
    );
  });
});

/** Answers found from nothing but the text of the prompt, in another way than the task finds them. */
const SOLVERS: Record<string, (item: WorldItem) => string | undefined> = {
  arithmetic({ level, messages }) {
    const text = messages[0]!.content;
    const n = (text.match(/\d+/g) ?? []).map(Number);
    if (level === 0) return String(text.startsWith('Add') ? n[0]! + n[1]! : n[1]! - n[0]!);
    if (level === 3) return String(n[0]! + n[1]! - n[2]!);
    const sign = /\d([-+*])/.exec(text)![1];
    const first = sign === '*' ? n[0]! * n[1]! : sign === '-' ? n[0]! - n[1]! : n[0]! + n[1]!;
    return String(first - (n[2] ?? 0));
  },
  recall({ messages }) {
    const text = messages[0]!.content;
    const asked = /(\w+)[.?]$/.exec(text)![1];
    return new RegExp(`(?:^|[ ,.])${asked} (\\d+)`).exec(text)?.[1];
  },
  facts({ messages }) {
    const text = messages[0]!.content;
    const known = new Map([...text.matchAll(/(\w+) (?:is|goes) (?:with|in|to) (\w+)\./g)].map((m) => [m[1]!, m[2]!]));
    let at = /(\w+)(?: in)?[.?]$/.exec(text)![1]!;
    while (known.has(at)) at = known.get(at)!;
    return at;
  },
  sort({ level, messages }) {
    const entries = messages[0]!.content.split(': ')[1]!.split(' ');
    const up = level === 1 ? entries.sort() : entries.sort((a, b) => Number(a) - Number(b));
    return (level === 3 ? up.reverse() : up).join(' ');
  },
};

test.each(Object.keys(SOLVERS))('%s: the prompt alone determines the answer', (task) => {
  for (let level = 0; level < 4; level++) {
    for (const item of draw(task, level)) {
      const answer = task === 'arithmetic' ? item.answer.split(' ')[0] : item.answer;
      expect(answer).toBe(SOLVERS[task]!(item));
    }
  }
});

describe('tolerance', () => {
  const find = (task: string, level: number, wanted: (item: WorldItem) => boolean) =>
    draw(task, level, 400).find((item) => wanted(item))!;

  test('case and a full stop do not matter for words, but do where the question is about them', () => {
    const fact = find('facts', 0, () => true);
    expect(checkReply(fact, `${fact.answer.toUpperCase()}.`).correct).toBe(true);
    const capitals = find('instruction', 1, (item) => item.answer === item.answer.toUpperCase());
    expect(checkReply(capitals, capitals.answer.toLowerCase()).correct).toBe(false);
  });

  test('a tool call may order its keys and space itself freely', () => {
    const item = find('tool_call', 1, ({ answer }) => answer.includes('amount'));
    const call = JSON.parse(item.answer) as { name: string; arguments: Record<string, unknown> };
    const args = Object.fromEntries(Object.entries(call.arguments).reverse());
    expect(checkReply(item, JSON.stringify({ arguments: args, name: call.name }, null, 2)).correct).toBe(true);
    expect(checkReply(item, JSON.stringify({ ...call, extra: 1 })).correct).toBe(false);
    expect(checkReply(item, `Sure! ${item.answer}`).correct).toBe(false);
  });

  test('an open instruction accepts every reply that meets its demands, and only those', () => {
    const pattern = /3 animals but not (\w+), then say (\w+)\.$/;
    const item = find('instruction', 2, ({ messages }) => pattern.test(messages[0]!.content));
    const [, without, last] = pattern.exec(item.messages[0]!.content)!;
    const [a, b, c] = ['rat', 'owl', 'pig', 'dog'].filter((word) => word !== without);
    const verdict = (words: string) => checkReply(item, words).correct;
    expect(verdict(`${a} ${b} ${c} ${last}`)).toBe(true);
    expect(verdict(`${b}, ${c}, ${a}, ${last}.`)).toBe(true);
    expect(verdict(`${a} ${b} ${without} ${last}`)).toBe(false);
    expect(verdict(`${a} ${b} ${b} ${last}`)).toBe(false);
    expect(verdict(`${a} ${b} ${last}`)).toBe(false);
    expect(verdict(`${a} ${b} book ${last}`)).toBe(false);
    expect(verdict(`${a} ${b} ${c}`)).toBe(false);
  });

  test('a damaged instruction item is an error of the caller, not a verdict', () => {
    const item = { ...find('instruction', 2, () => true), content: 'not JSON' };
    expect(() => checkReply(item, 'x')).toThrow(expect.objectContaining({ code: 'world.bad_item' }));
  });

  test('chat accepts the bare fact', () => {
    const item = find('chat', 1, ({ answer }) => answer.startsWith('You live in'));
    expect(checkReply(item, item.answer.split(' ').at(-1)!.replace('.', '')).correct).toBe(true);
  });
});
