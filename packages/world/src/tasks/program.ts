/**
 * @file Reading a small program and saying what it prints; `interpreter.ts` gives the answer.
 *
 * Level 0: two values and one operation. Level 1: values that change. Level 2: a loop. Level 3: a branch in a loop.
 */
import type { Rng } from '@quasar/base';
import { checkExact } from '../check.ts';
import { runProgram } from '../interpreter/index.ts';
import type { Task } from '../types.ts';
import { phrase } from '../words.ts';

const VARIABLES = [...'abcdkmnpxyz'];

function values(rng: Rng): string[] {
  const [x, y] = rng.sample(VARIABLES, 2);
  const [a, b] = [rng.int(0, 9), rng.int(0, 9)];
  const minus = rng.next() < 0.4;
  const [high, low] = minus ? [Math.max(a, b), Math.min(a, b)] : [a, b];
  return [`${x} = ${high}`, `${y} = ${low}`, `print(${x} ${minus ? '-' : '+'} ${y})`];
}

function changes(rng: Rng): string[] {
  const [x, y] = rng.sample(VARIABLES, 2);
  const lines = [`${x} = ${rng.int(1, 9)}`, `${y} = ${x} + ${rng.int(1, 9)}`];
  lines.push(rng.pick([`${x} = ${y} + ${x}`, `${y} += ${rng.int(1, 9)}`, `${y} = ${y} * 2`]));
  return [...lines, `print(${rng.pick([x, y])})`];
}

function loop(rng: Rng): string[] {
  const [x, i] = rng.sample(VARIABLES, 2);
  const step = rng.pick([`${x} += ${rng.int(1, 9)}`, `${x} += ${i}`, `${x} = ${x} * 2`]);
  return [`${x} = ${rng.int(0, 9)}`, `for ${i} in range(${rng.int(2, 4)}):`, `  ${step}`, `print(${x})`];
}

function branch(rng: Rng): string[] {
  const [x, i] = rng.sample(VARIABLES, 2);
  return [
    `${x} = ${rng.int(0, 9)}`,
    `for ${i} in range(${rng.int(2, 5)}):`,
    `  if ${rng.pick([x, i])} ${rng.pick(['<', '>', '=='])} ${rng.int(1, 9)}:`,
    `    ${x} += ${rng.int(1, 5)}`,
    '  else:',
    `    ${x} += ${rng.pick([i!, String(rng.int(1, 5))])}`,
    `print(${x})`,
  ];
}

export const program: Task = {
  name: 'program',
  levels: 4,
  generate(rng, level) {
    const source = [values, changes, loop, branch][level]!(rng).join('\n');
    const question = phrase(rng, level, ['Run:', 'What does this print?', 'Give the output:', 'Output of this code?']);
    return {
      task: 'program',
      level,
      content: source,
      messages: [{ role: 'user', content: `${question}\n${source}` }],
      answer: runProgram(source),
    };
  },
  check: (item, reply) => checkExact(item.answer, reply),
};
