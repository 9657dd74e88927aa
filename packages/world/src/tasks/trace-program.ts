/**
 * @file Saying what a longer program prints; the interpreter gives the answer.
 *
 * Level 0: `while` with quotients and remainders. Level 1: lists. Level 2: functions, some recursive. Level 3: strings and
 * comprehensions inside a function.
 */
import type { Rng } from '@quasar/base';
import { checkExact } from '../check.ts';
import { runProgram } from '../interpreter/index.ts';
import type { Task } from '../types.ts';
import { ANIMALS, FRUITS, phrase } from '../words.ts';

function digits(rng: Rng): string[] {
  const [base, start] = [rng.pick([2, 3, 4, 5, 7, 10]), rng.int(100, 9999)];
  const change = rng.pick([`t += n % ${base}`, 't += 1', `t = t * 2 + n % ${base}`]);
  return [`n = ${start}`, 't = 0', 'while n > 0:', `    ${change}`, `    n = n // ${base}`, 'print(t)'];
}

function lists(rng: Rng): string[] {
  const numbers = Array.from({ length: rng.int(5, 8) }, () => rng.int(1, 30));
  const [k, r] = [rng.int(2, 4), rng.int(0, 1)];
  return [
    `xs = [${numbers.join(', ')}]`,
    'ys = []',
    'for x in xs:',
    `    if x % ${k} == ${r}:`,
    `        ys.append(x ${rng.pick(['+', '*'])} ${rng.int(2, 5)})`,
    rng.pick(['print(ys)', 'print(sum(ys), len(ys))', 'print(sorted(ys))', 'print(ys[::-1])']),
  ];
}

function functions(rng: Rng): string[] {
  const [a, b, n] = [rng.int(1, 4), rng.int(1, 9), rng.int(4, 9)];
  return rng.pick([
    ['def f(n):', '    if n < 2:', `        return ${b}`, `    return ${a} * f(n - 1) + n`, `print(f(${n}))`],
    [
      'def f(a, b):',
      '    while b:',
      '        a, b = b, a % b',
      '    return a',
      `print(f(${rng.int(20, 400)}, ${rng.int(20, 400)}))`,
    ],
    [
      'def f(n):',
      `    return n // ${a + 1} if n % ${a + 1} == 0 else n + ${b}`,
      `x = ${rng.int(10, 60)}`,
      `for i in range(${n}):`,
      '    x = f(x)',
      'print(x)',
    ],
  ]);
}

function strings(rng: Rng): string[] {
  const words = rng.sample([...ANIMALS, ...FRUITS], rng.int(3, 5));
  const n = rng.int(3, 4);
  const body = rng.pick([
    `[w[::-1] for w in ws if len(w) > ${n - 1}]`,
    `[w.upper() for w in ws if '${rng.pick([...'aeiou'])}' in w]`,
    `sorted([w[-1] + w[0] for w in ws])`,
    `[len(w) * ${n} for w in ws]`,
  ]);
  const shown = rng.pick(['f(xs)', "'<' + '-'.join([str(x) for x in f(xs)]) + '>'", 'len(f(xs)), f(xs)[:2]']);
  return [
    'def f(ws):',
    `    return ${body}`,
    `xs = [${words.map((word) => `'${word}'`).join(', ')}]`,
    `print(${shown})`,
  ];
}

export const traceProgram: Task = {
  name: 'trace_program',
  levels: 4,
  generate(rng, level) {
    const source = [digits, lists, functions, strings][level]!(rng).join('\n');
    const question = phrase(rng, level, ['What does this print?', 'Give the output:', 'Run:', 'Output of this code?']);
    return {
      task: 'trace_program',
      level,
      content: source,
      messages: [{ role: 'user', content: `${question}\n${source}` }],
      answer: runProgram(source),
    };
  },
  check: (item, reply) => checkExact(item.answer, reply),
};
