import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_LONG_REPLY_CHARS } from '../check.ts';
import { checkReply, generateItem, splitOf } from '../seed.ts';
import type { WorldItem } from '../types.ts';
import { HARD_TASKS } from './index.ts';

const cases = HARD_TASKS.flatMap(({ name, levels }) =>
  Array.from({ length: levels }, (_, level) => [name, level] as const),
);

const draw = (task: string, level: number, count: number, wording = 0): WorldItem[] =>
  Array.from({ length: count }, (_, i) => generateItem(`${i}`, 'contest', { tasks: [task], level, wording }));

const prompt = (item: WorldItem) => item.messages.map(({ content }) => content).join('\n');

describe.each(cases)('%s, level %i', (task, level) => {
  const items = draw(task, level, 20);

  test('has a right answer that checks, and prompts of its own', () => {
    for (const item of items) {
      expect(item).toMatchObject({ task, level });
      expect(splitOf(item)).toBe('contest');
      expect(checkReply(item, item.answer), `${prompt(item)}\n=> ${item.answer}`).toMatchObject({ correct: true });
      expect(checkReply(item, `\n${item.answer}\n\n`)).toMatchObject({ correct: true });
    }
    expect(new Set(items.map(prompt)).size).toBeGreaterThan(10);
  });

  test('refuses wrong replies', () => {
    for (const item of items) {
      const others = items.filter(({ answer }) => answer !== item.answer).map(({ answer }) => answer);
      const passing = others.filter((answer) => checkReply(item, answer).correct);
      // An open demand has many right answers; two programs hardly ever do the same.
      expect(passing.length, prompt(item)).toBeLessThanOrEqual(task === 'constraints' ? 5 : 1);
      const cut = task === 'constraints' ? `${item.answer} more` : item.answer.slice(0, -1);
      for (const reply of ['', 'no', '0.5', cut, 'x'.repeat(MAX_LONG_REPLY_CHARS + 1)])
        expect(checkReply(item, reply), `${JSON.stringify(reply)} for ${item.answer}`).toMatchObject({
          correct: false,
        });
    }
  });

  test('another wording asks the same', () => {
    const reworded = draw(task, level, 20, 1);
    reworded.forEach((item, i) => {
      expect({ content: item.content, answer: item.answer }).toEqual({
        content: items[i]!.content,
        answer: items[i]!.answer,
      });
    });
    expect(reworded.filter((item, i) => prompt(item) !== prompt(items[i]!)).length).toBeGreaterThan(15);
  });

  test('judges any reply without throwing', () => {
    const reply = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.constantFrom(
        '[[['.repeat(900),
        '{"__proto__":{}}',
        'def f(a, b):\n  while 1: pass',
        'Answer:',
        '```\n```',
        '"',
      ),
      fc.constantFrom(null, undefined, 7, {}).map((value) => value as unknown as string),
    );
    fc.assert(
      fc.property(fc.constantFrom(...items), reply, (item, text) => {
        expect(checkReply(item, text).reason.length).toBeLessThan(60);
      }),
      { numRuns: 50 },
    );
  });
});

const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n - 1, k - 1) * n) / k);
const numbersIn = (text: string) => (text.match(/\d+/g) ?? []).map(Number);
const answerOf = (item: WorldItem) => Number(item.answer.replace('Answer: ', ''));

describe('answers found in another way', () => {
  test('competition: remainders of powers, by squaring', () => {
    for (const item of draw('competition', 0, 60).filter(({ content }) => content.includes('^'))) {
      const [base, exponent, modulus] = numbersIn(item.content) as [number, number, number];
      let [value, square] = [1, base % modulus];
      for (let left = exponent; left > 0; left >>= 1) {
        if (left & 1) value = (value * square) % modulus;
        square = (square * square) % modulus;
      }
      expect(answerOf(item)).toBe(value);
    }
  });

  test('competition: paths by binomials, choices without neighbours by formula', () => {
    const all = [...draw('competition', 2, 60), ...draw('competition', 3, 60)];
    for (const item of all) {
      const n = numbersIn(item.content);
      if (item.content.startsWith('paths')) {
        const [w, h, x, y] = n as [number, number, number, number];
        const through = choose(x + y, x) * choose(w + h - x - y, w - x);
        expect(answerOf(item)).toBe((choose(w + h, w) - through) % 1000);
      } else if (item.content.startsWith('neighbours')) {
        const [count, k] = n as [number, number];
        const inRow = choose(count - k + 1, k);
        const round = (choose(count - k, k) * count) / (count - k);
        expect(answerOf(item)).toBe(Math.round(item.content.includes('round') ? round : inRow) % 1000);
      }
      expect(answerOf(item)).toBeLessThanOrEqual(999);
    }
  });

  test('word problems: the sum of a purchase', () => {
    for (const item of draw('word_problem', 0, 40)) {
      const [m, p, n, q] = numbersIn(prompt(item)) as [number, number, number, number];
      expect(answerOf(item)).toBe(m * p + n * q);
    }
  });

  test('needle: the one sentence with the colour, thing and city asked for', () => {
    for (const item of draw('needle', 3, 20)) {
      const asked = /(the code of the \w+ \w+ in \w+)[.?]$/i.exec(prompt(item))![1]!;
      expect(item.answer).toBe(new RegExp(`${asked} is (\\d+)`, 'i').exec(prompt(item))![1]);
      expect(prompt(item).match(/The code of/g)).toHaveLength(4);
      expect(prompt(item).split('. ')).toHaveLength(45);
    }
  });

  test('ordering: by sorting', () => {
    for (const item of draw('ordering', 3, 40)) {
      const pairs = [...prompt(item).matchAll(/(\w+) is (before|after) (\w+)\./g)].map(([, a, word, b]) =>
        word === 'before' ? [a, b] : [b, a],
      );
      const names = [...new Set(pairs.flat())];
      const isBefore = (a?: string, b?: string): boolean =>
        pairs.some(([from, to]) => from === a && (to === b || isBefore(to, b)));
      names.sort((a, b) => (isBefore(a, b) ? -1 : 1));
      const rank = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh'].findIndex((word) =>
        prompt(item).includes(word),
      );
      expect(item.answer).toBe(names[rank]);
    }
  });
});

describe('lenient where the question is', () => {
  const [sum] = draw('word_problem', 1, 1) as [WorldItem];

  test('reasoning may stand before the answer line; only the last one counts', () => {
    const n = answerOf(sum);
    expect(checkReply(sum, `First 2 * 3 = 6.\nAnswer: ${n}`).correct).toBe(true);
    expect(checkReply(sum, `**Answer:** ${n}.`).correct).toBe(true);
    expect(checkReply(sum, String(n)).correct).toBe(true);
    expect(checkReply(sum, `Answer: ${n}\nAnswer: ${n + 1}`).correct).toBe(false);
    expect(checkReply(sum, `It is ${n}, I think`).correct).toBe(false);
  });

  test('programs and calls may stand in one fence; any program that does the same is right', () => {
    const [item] = draw('write_program', 1, 1) as [WorldItem];
    expect(checkReply(item, `Here:\n\`\`\`python\n${item.answer}\n\`\`\`\nDone.`).correct).toBe(true);
    expect(checkReply(item, item.answer.replace('def f(xs):', 'def f(xs):\n    import os')).correct).toBe(false);
    const loop = item.answer.replace(
      /ys = \[x for x in xs if (.+)\]/,
      'ys = []\n    for x in xs:\n        if $1:\n            ys.append(x)',
    );
    expect(loop).toContain('append');
    expect(checkReply(item, loop).correct).toBe(true);
    expect(checkReply(item, 'def f(xs):\n    while True:\n        pass').correct).toBe(false);
    const [call] = draw('tool_schema', 3, 1) as [WorldItem];
    const calls = JSON.parse(call.answer) as object[];
    expect(checkReply(call, `\`\`\`json\n${JSON.stringify(calls, null, 2)}\n\`\`\``).correct).toBe(true);
    expect(checkReply(call, JSON.stringify(calls.toReversed())).correct).toBe(false);
  });

  test('any text that meets all demands is right', () => {
    const item: WorldItem = {
      ...draw('constraints', 3, 1)[0]!,
      content: JSON.stringify({
        topic: 'owl',
        demands: {
          ...{ count: 6, include: { word: 'map', times: 2 }, without: 'key', first: 'red', last: 'fig' },
          ...{ letters: 'lower', lines: 2, quoted: false },
        },
      }),
    };
    const verdict = (reply: string) => checkReply(item, reply).correct;
    expect(verdict('- red map owl\n- map sees fig.')).toBe(true);
    for (const reply of [
      ...['- red map owl map sees fig', '- red map owl\n map sees fig', '- Red map owl\n- map sees fig'],
      ...['- red map owl\n- map key fig', '- red map owl\n- map map fig', '- red map owl\n- map sees a fig'],
      ...['- owl map red\n- map sees fig', '- red map fig\n- map sees owl'],
    ])
      expect(verdict(reply), reply).toBe(false);
  });
});
