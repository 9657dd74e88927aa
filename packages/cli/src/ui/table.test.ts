import { expect, test } from 'vitest';
import { record, table } from './table.ts';

test('text to the left, numbers to the right, no trailing spaces', () => {
  const columns = [
    { title: 'repo', value: (row: [string, number, string]) => row[0] },
    { title: 'n', value: (row: [string, number, string]) => row[1] },
    { title: 'why', value: (row: [string, number, string]) => row[2] },
  ];
  expect(
    table(columns, [
      ['honest/nano', 120, ''],
      ['b', 3, 'lost'],
    ]),
  ).toMatchInlineSnapshot(`
    "repo           n  why
    honest/nano  120
    b              3  lost"
  `);
  expect(table(columns, [])).toBe('repo  n  why');
});

test('a record aligns its values', () => {
  expect(record({ device: 'native', os: 'linux' })).toBe('device  native\nos      linux');
});
