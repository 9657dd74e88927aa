import { QuasarError } from '@quasar/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { callFunction, runProgram } from './index.ts';
import { MAX_SOURCE_CHARS } from './limits.ts';

describe('runProgram', () => {
  test.each([
    ['x = 3\nprint(x + 4)', '7'],
    ['x = 2 + 3 * 4\nprint((x - 4) * 2)', '20'],
    ['x = 1\nx += 2\nprint(x)\nprint(x - 9)', '3\n-6'],
    ['x = 0\nfor i in range(4):\n  x += i\nprint(x)', '6'],
    ['x = 5\nfor i in range(x - 5):\n  x = 9\nprint(x)', '5'],
    ['x = 0\nfor i in range(3):\n  for k in range(2):\n    x += k\nprint(x)\nprint(i)', '3\n2'],
    ['x = 3\nif x > 2:\n  x = 1\nelse:\n  x = 2\nprint(x)', '1'],
    ['x = 2\nif x > 2:\n  x = 1\nelse:\n  x = 5\n  x += 1\nprint(x)', '6'],
    ['x = 2\nif x == 9:\n  x = 1\nprint(x)', '2'],
    ['x = 4\nif x < 2:\n  print(1)\nelif x < 5:\n  print(2)\nelse:\n  print(3)', '2'],
    ['x = 10\nwhile x > 3:\n  x -= 3\n  if x == 4:\n    break\nprint(x)', '4'],
    ['for i in range(5):\n  if i % 2: continue\n  print(i)', '0\n2\n4'],
    ['print(-7 // 2, -7 % 2, 7 // -2, 7 % -2, 2 ** 10, (-2) ** 3, -2 ** 2)', '-4 1 -4 -1 1024 -8 -4'],
    ['a, b = 1, 2\na, b = b, a + b\nprint(a, b)', '2 3'],
    ['a = [3, 1, 2]\na.sort()\na[0] = 9\na.append([4])\nprint(a, len(a), a[-1][0])', '[9, 2, 3, [4]] 4 4'],
    ["s = 'abc'\nprint(s[::-1], s[1:], s[:-1], s.upper() + '!', 'b' in s, s * 2)", 'cba bc ab ABC! True abcabc'],
    ['print([i * i for i in range(6) if i % 2 == 0], sum(i for i in range(4)))', '[0, 4, 16] 6'],
    ['def f(n):\n    if n < 2:\n        return n\n    return f(n - 1) + f(n - 2)\nprint(f(10))', '55'],
    ["print('yes' if 1 < 2 < 3 else 'no', not [], None, True + 1)", 'yes True None 2'],
    ["print(' '.join(sorted('b a'.split())), max([2, 5]), min(4, 3), str(12)[0], int('7') + 1)", 'a b 5 3 1 8'],
    ["# nothing\n\nprint(('a', 1), (2,), [])  # shown as Python does", "('a', 1) (2,) []"],
    ['for i, x in enumerate([5, 6]):\n  print(i + x)', '5\n7'],
    ['x = 1\ndef f(y):\n  x = y\n  return x\nprint(f(5), x)', '5 1'],
    ['a = [1]\nb = a\nb += [2]\nb = b + [3]\nprint(a, b)', '[1, 2] [1, 2, 3]'],
    [`print(["it's", 'a', '"'], 'a\\nb', ['a\\nb'])`, `["it's", 'a', '"'] a\nb ['a\\nb']`],
    ['', ''],
  ])('%j prints %j', (source, output) => {
    expect(runProgram(source)).toBe(output);
  });

  test.each([
    ['print(y)', /line 1: no value for y/],
    ['x = 1\ny += 1', /line 2: no value for y/],
    ['x = 1 +', /ends early/],
    ['x = (1 + 2', /expected \)/],
    ['x = 1 2', /unexpected 2/],
    ['x = 1 / 2', /unexpected "\/"/],
    ['import os', /unexpected os/],
    ['else:\n  x = 1', /unexpected else/],
    ['for i in range(3):\nprint(i)', /no block below/],
    ['x = 1\n  x = 2', /line 2: wrong indent/],
    ['if 1:\n    x = 1\n  x = 2', /line 3: wrong indent/],
    ['if 1:\n\tx = 1', /indent by spaces/],
    ['x = 1 // 0', /division by zero/],
    ['x = [1][5]', /out of range/],
    ["x = 'a' + 1", /no \+ for str and int/],
    ['x = 9007199254740991 + 1', /number too large/],
    ['x = 99999999999999999', /number too large/],
    ['return 1', /outside of a function/],
    ['break', /outside of a loop/],
    ['1 = 2', /cannot assign/],
    ['def f(a):\n  return a\nf()', /takes 1 values, got 0/],
    ["x = 'abc\nprint(x)", /unexpected "'"/],
  ])('%j is refused', (source, message) => {
    expect(() => runProgram(source)).toThrow(message);
    expect(() => runProgram(source)).toThrow(expect.objectContaining({ code: 'world.program' }));
  });
});

describe('limits', () => {
  test.each([
    ['an endless loop', 'while True:\n  pass', /too many steps/],
    ['a long count', 'for i in range(10 ** 15):\n  x = i', /too many steps/],
    ['a list that doubles', 'a = [1]\nwhile True:\n  a = a + a', /too much memory/],
    ['a string that doubles', "a = 'x'\nwhile True:\n  a += a", /too much memory/],
    ['a string at once', "a = 'x' * 10 ** 12", /too much memory/],
    ['a list at once', 'a = list(range(10 ** 12))', /too much memory/],
    ['much output', "while True:\n  print('x' * 99)", /too much memory/],
    ['a list that grows while it is walked', 'a = [1]\nfor x in a:\n  a.append(x)', /too (much memory|many steps)/],
    ['a list that holds itself', 'a = []\na.append(a)\nprint(a)', /nested too deeply|too much memory/],
    ['two such lists compared', 'a = []\na.append(a)\nb = []\nb.append(b)\nprint(a == b)', /nested too deeply/],
    ['recursion', 'def f(n):\n  return f(n + 1)\nf(0)', /too many calls/],
    ['many brackets', `x = ${'('.repeat(1500)}1${')'.repeat(1500)}`, /nested too deeply/],
    ['many lists in lists', `x = ${'['.repeat(1500)}${']'.repeat(1500)}`, /nested too deeply/],
    ['many minus signs', `x = ${'-'.repeat(3000)}1`, /nested too deeply/],
    ['many negations', `x = ${'not '.repeat(900)}1`, /nested too deeply/],
    ['many powers', `x = 1${' ** 1'.repeat(700)}`, /nested too deeply/],
    ['a long sum', `x = 1${'+1'.repeat(1900)}`, /nested too deeply/],
    ['many indices', `x = y${'[0]'.repeat(1300)}`, /nested too deeply/],
    ['many blocks', Array.from({ length: 80 }, (_, i) => `${' '.repeat(i)}if 1:`).join('\n'), /nested too deeply/],
    ['many branches', `if 0:\n  pass\n${'elif 0:\n  pass\n'.repeat(150)}`, /nested too deeply/],
    ['a long source', `#${'x'.repeat(MAX_SOURCE_CHARS)}`, /more than 4000 characters/],
    ['a long number', `x = ${'9'.repeat(3000)}`, /number too large/],
    ['a large power', 'x = 3 ** 10 ** 9', /number too large/],
  ])('%s ends', (_, source, message) => {
    expect(() => runProgram(source)).toThrow(message);
  });

  test('they are counted, so a run ends at the same place every time', () => {
    const source = 'n = 0\nwhile True:\n  n += 1\n  print(n)';
    const limits = { steps: 500, cells: 1000, calls: 5 };
    const messages = [1, 2].map(() => {
      try {
        return runProgram(source, limits);
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect(messages[0]).toBe(messages[1]);
    expect(runProgram('for i in range(10):\n  print(i)', limits)).toMatch(/^0\n/);
  });
});

describe('callFunction', () => {
  test('runs the program, then the function, with values in and out', () => {
    const source = 'k = 2\ndef f(a, n):\n  return [x * k for x in a][:n]';
    expect(callFunction(source, 'f', [[1, 2, 3], 2])).toEqual([2, 4]);
    expect(callFunction("def f(s):\n  return s.count('a'), None", 'f', ['banana'])).toEqual([3, null]);
    expect(() => callFunction(source, 'g', [])).toThrow(/no function g/);
    expect(() => callFunction(source, 'f', [1])).toThrow(/takes 2 values/);
    expect(() => callFunction('def f():\n  a = []\n  a.append(a)\n  return a', 'f', [])).toThrow(/nested|memory/);
  });

  test('names of the host mean nothing', () => {
    for (const name of ['constructor', '__proto__', 'toString', 'process', 'globalThis', 'require', 'eval']) {
      expect(() => runProgram(`print(${name})`)).toThrow(/no value for/);
      expect(() => runProgram(`${name}('1')`)).toThrow(/no function/);
      expect(() => runProgram(`x = 'a'.${name}()`)).toThrow(/no method/);
      expect(() => runProgram(`x = [].${name}()`)).toThrow(/no method/);
      expect(callFunction(`def ${name}(${name}):\n  return ${name}`, name, [7])).toBe(7);
    }
  });
});

/** Programs that mean something more often than random text does. */
const fragment = fc.constantFrom(
  ...[
    'x',
    'y',
    'f',
    '0',
    '1',
    '7',
    '99',
    "'ab'",
    '[',
    ']',
    '(',
    ')',
    ',',
    ':',
    '=',
    '+',
    '-',
    '*',
    '//',
    '%',
    '**',
    '<',
  ],
  ...['==', 'in', 'not', 'and', 'if', 'else', 'elif', 'while', 'for', 'def', 'return', 'print', 'range', 'len', 'list'],
  ...[
    '.append',
    '.join',
    '.sort',
    '+=',
    '\n',
    '\n  ',
    '\n    ',
    ' ',
    'x = [x]',
    'while 1:',
    'def f(x):',
    'f(f)',
    'sum',
  ],
);
const program = fc.oneof(
  fc.array(fragment, { maxLength: 60 }).map((parts) => parts.join(' ').replaceAll(' \n', '\n')),
  fc.string({ unit: 'binary', maxLength: 300 }),
);

test('property: any text ends, within the limits, in output or in world.program', () => {
  fc.assert(
    fc.property(program, (source) => {
      try {
        expect(runProgram(source).length).toBeLessThanOrEqual(20_000);
      } catch (error) {
        expect(error).toBeInstanceOf(QuasarError);
        expect((error as QuasarError).code).toBe('world.program');
      }
    }),
    { numRuns: 2000 },
  );
});

const expression = fc.letrec<{ sum: string; atom: string }>((tie) => ({
  sum: fc.oneof(
    { maxDepth: 5 },
    tie('atom'),
    fc.tuple(tie('sum'), fc.constantFrom('+', '-', '*'), tie('sum')).map(([a, sign, b]) => `(${a} ${sign} ${b})`),
    fc.tuple(tie('sum'), fc.constantFrom('<', '>', '=='), tie('sum')).map(([a, sign, b]) => `(${a} ${sign} ${b})`),
  ),
  atom: fc.nat(50).map(String),
})).sum;

test('property: sums, products and comparisons are those of integers', () => {
  fc.assert(
    fc.property(expression, (source) => {
      // The source is our own: digits, brackets and operators that mean the same in JavaScript.
      const want = Number(new Function(`return ${source}`)());
      fc.pre(Number.isSafeInteger(want));
      expect(Number(callFunction(`def f():\n  return ${source}`, 'f', []))).toBe(want === 0 ? 0 : want);
    }),
  );
});

test('property: floor division and remainder fit together as in Python', () => {
  const divisor = fc.integer({ min: -1e6, max: 1e6 }).filter((b) => b !== 0);
  fc.assert(
    fc.property(fc.maxSafeInteger(), divisor, (a, b) => {
      const [q, r] = callFunction('def f(a, b):\n  return a // b, a % b', 'f', [a, b]) as [number, number];
      expect(BigInt(q) * BigInt(b) + BigInt(r)).toBe(BigInt(a));
      expect(r === 0 || Math.sign(r) === Math.sign(b)).toBe(true);
      expect(Math.abs(r)).toBeLessThan(Math.abs(b));
    }),
  );
});
