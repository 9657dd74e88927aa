/**
 * @file Writing a small program (after MBPP, Austin et al. 2021): a function `f`, run by our own interpreter on inputs that
 * the question does not show. The right values come from a solution that every item carries as its answer.
 *
 * Level 0: a formula of two numbers. Level 1: choosing from a list and folding it. Level 2: the same with a change of each
 * element. Level 3: digits, strings and loops.
 */
import { canonicalJson, QuasarError, Rng } from '@quasar/base';
import { CORRECT, MAX_LONG_REPLY_CHARS, unfenced, wrong } from '../check.ts';
import { callFunction, type PlainValue } from '../interpreter/index.ts';
import type { Task, Verdict, WorldItem } from '../types.ts';
import { ANIMALS, FRUITS, phrase } from '../words.ts';

/** What is wanted: in words, as a solution, and from which kind of input. */
interface Wanted {
  words: string;
  parameters: string;
  solution: string;
  input: 'two numbers' | 'list' | 'number' | 'words';
}

function formula(rng: Rng): Wanted {
  const [p, q, r] = [rng.int(2, 9), rng.int(2, 9), rng.int(1, 20)];
  const [words, expression] = rng.pick([
    [`${p} times a plus ${q} times b`, `${p} * a + ${q} * b`],
    [`the larger of a and b, times ${p}, minus ${r}`, `max(a, b) * ${p} - ${r}`],
    [`the remainder of ${p} times a plus b divided by ${q + 10}`, `(${p} * a + b) % ${q + 10}`],
    [`the difference of a and b without its sign, plus ${r}`, `abs(a - b) + ${r}`],
    [`a squared minus ${p} times b`, `a * a - ${p} * b`],
  ] as const);
  return { words, parameters: 'a, b', solution: `def f(a, b):\n    return ${expression}`, input: 'two numbers' };
}

function chosen(rng: Rng): [words: string, test: string] {
  const k = rng.int(2, 7);
  const limit = rng.int(5, 40);
  return rng.pick([
    [`those that are multiples of ${k}`, `x % ${k} == 0`],
    [`those above ${limit}`, `x > ${limit}`],
    [`those below ${limit} that are odd`, `x < ${limit} and x % 2 == 1`],
    [`those that leave 1 when divided by ${k}`, `x % ${k} == 1`],
  ]);
}

const FOLDS: readonly (readonly [words: string, fold: string])[] = [
  ['the sum of', 'sum(ys)'],
  ['the number of', 'len(ys)'],
  ['a list, in order from low to high, of', 'sorted(ys)'],
  ['a list, last one first, of', 'ys[::-1]'],
];

function fold(rng: Rng): Wanted {
  const [which, test] = chosen(rng);
  const [what, folded] = rng.pick(FOLDS);
  return {
    words: `${what} ${which}`,
    parameters: 'xs',
    solution: `def f(xs):\n    ys = [x for x in xs if ${test}]\n    return ${folded}`,
    input: 'list',
  };
}

function changeAndFold(rng: Rng): Wanted {
  const [which, test] = chosen(rng);
  const k = rng.int(2, 9);
  const [changed, change] = rng.pick([
    ['the squares of', 'x * x'],
    [`${k} times each of`, `x * ${k}`],
    [`the remainders by ${k + 3} of`, `x % ${k + 3}`],
  ] as const);
  const [what, folded] = rng.pick(FOLDS.filter(([, each]) => each !== 'len(ys)'));
  return {
    words: `${what} ${changed} ${which}`,
    parameters: 'xs',
    solution: `def f(xs):\n    ys = [${change} for x in xs if ${test}]\n    return ${folded}`,
    input: 'list',
  };
}

function loops(rng: Rng): Wanted {
  const k = rng.int(2, 9);
  const letter = rng.pick([...'aeiou']);
  const [base, start] = [rng.pick([2, 3, 4, 5, 6, 7, 8, 9]), rng.int(1, 9)];
  const joint = rng.pick(['-', '+', '/', '.']);
  const number = (words: string, ...body: string[]): Wanted => ({
    ...{ words, parameters: 'n', input: 'number' },
    solution: ['def f(n):', ...body.map((line) => `    ${line}`)].join('\n'),
  });
  const text = (words: string, expression: string): Wanted => ({
    ...{ words, parameters: 'ws', input: 'words' },
    solution: `def f(ws):\n    return ${expression}`,
  });
  return rng.pick([
    () =>
      number(
        `the sum of the digits of n in base ${base}`,
        't = 0',
        'while n > 0:',
        `    t += n % ${base}`,
        `    n = n // ${base}`,
        'return t',
      ),
    () =>
      number(
        `how many numbers from 1 to n divide n and are not multiples of ${k}`,
        `return len([d for d in range(1, n + 1) if n % d == 0 and d % ${k} != 0])`,
      ),
    () =>
      number(
        `${start} plus the sum of all multiples of ${k} up to n, n included`,
        `return ${start} + sum([i for i in range(1, n + 1) if i % ${k} == 0])`,
      ),
    () =>
      number(
        `how many prime numbers lie from ${start + 1} to n`,
        `ps = [i for i in range(2, n + 1) if all([i % d != 0 for d in range(2, i)])]`,
        `return len([p for p in ps if p > ${start}])`,
      ),
    () =>
      text(
        `a list of the words that contain "${letter}" and have at least ${2 + (k % 4)} letters, each written backwards`,
        `[w[::-1] for w in ws if '${letter}' in w and len(w) >= ${2 + (k % 4)}]`,
      ),
    () =>
      text(
        `how often "${letter}" occurs in all words together, times ${k}`,
        `sum([w.count('${letter}') for w in ws]) * ${k}`,
      ),
    () =>
      text(
        `the words with more than ${k % 5} letters, joined by "${joint}"`,
        `'${joint}'.join([w for w in ws if len(w) > ${k % 5}])`,
      ),
  ])();
}

const KINDS = [formula, fold, changeAndFold, loops] as const;
const TESTS = 6;

/** Inputs of the hidden tests: a function of what is asked, so that every validator runs the same. */
function inputs(wanted: Wanted): PlainValue[][] {
  const rng = new Rng(`write_program/${wanted.words}`);
  const number = () => rng.int(1, 60);
  return Array.from({ length: TESTS }, (_, i): PlainValue[] => {
    if (wanted.input === 'two numbers') return [number(), number()];
    if (wanted.input === 'number') return [i === 0 ? 1 : number()];
    const count = i === 0 ? 0 : rng.int(3, 8);
    if (wanted.input === 'list') return [Array.from({ length: count }, number)];
    return [rng.sample([...ANIMALS, ...FRUITS], count)];
  });
}

function readWanted(item: WorldItem): Wanted {
  try {
    return JSON.parse(item.content) as Wanted;
  } catch (cause) {
    throw new QuasarError('world.bad_item', 'write_program item: content is not the JSON of what is wanted', {
      hint: 'check replies with the item as generateItem returned it',
      cause,
    });
  }
}

function judge(wanted: Wanted, reply: unknown): Verdict {
  if (typeof reply !== 'string' || reply.length > MAX_LONG_REPLY_CHARS) return wrong('not a short text');
  const source = unfenced(reply);
  for (const args of inputs(wanted)) {
    const want = callFunction(wanted.solution, 'f', args);
    let got: PlainValue;
    try {
      got = callFunction(source, 'f', args);
    } catch (error) {
      if (error instanceof QuasarError && error.code === 'world.program') return wrong('the program fails');
      throw error;
    }
    if (canonicalJson(got) !== canonicalJson(want)) return wrong('another value');
  }
  return CORRECT;
}

const DIALECT = 'Use numbers, strings and lists only, and no imports. Reply with the code only.';

export const writeProgram: Task = {
  name: 'write_program',
  levels: 4,
  generate(rng, level) {
    const wanted = KINDS[level]!(rng);
    const gets = {
      'two numbers': 'two integers',
      list: 'a list of integers',
      number: 'a positive integer',
      words: 'a list of words',
    }[wanted.input];
    const question = phrase(rng, level, [
      'Write a Python function f(#) that takes @ and returns %.',
      'Define f(#) in Python: it takes @ and returns %.',
      'I need a Python function f(#) for @. It returns %.',
    ]);
    const filled = question.replace('#', wanted.parameters).replace('@', gets).replace('%', wanted.words);
    return {
      task: 'write_program',
      level,
      content: JSON.stringify(wanted),
      messages: [{ role: 'user', content: `${filled} ${DIALECT}` }],
      answer: wanted.solution,
    };
  },
  check: (item, reply) => judge(readWanted(item), reply),
};
