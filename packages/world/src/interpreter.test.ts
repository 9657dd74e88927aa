import { describe, expect, test } from 'vitest';
import { runProgram } from './interpreter.ts';

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
  ])('%j prints %j', (source, output) => {
    expect(runProgram(source)).toBe(output);
  });

  test.each([
    ['print(y)', /line 1: no value for y/],
    ['x = 1\ny += 1', /line 2: no value for y/],
    ['x = 1 +', /ends early/],
    ['x = (1 + 2', /bracket/],
    ['x = 1 2', /unexpected 2/],
    ['x = 1 / 2', /unexpected \//],
    ['import os', /unknown statement/],
    ['else:\n  x = 1', /wrong block/],
    ['for i in range(3):\nprint(i)', /wrong block/],
    ['x = 1\n  x = 2', /wrong block/],
    ['for i in range(3):\n    x = 1', /line 2: wrong indent/],
    ['if 3:\n  x = 1', /not a comparison/],
    ['for i in range(99999):\n  x = 1', /too many steps/],
    ['', /unknown statement/],
  ])('%j is refused', (source, message) => {
    expect(() => runProgram(source)).toThrow(message);
    expect(() => runProgram(source)).toThrow(expect.objectContaining({ code: 'world.program' }));
  });
});
