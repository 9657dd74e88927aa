import fc from 'fast-check';
import { expect, it } from 'vitest';
import { StopStrings } from './stop-strings.ts';

function run(stops: string[], chunks: string[]): { text: string; isStopped: boolean } {
  const machine = new StopStrings(stops);
  const text = chunks.map((chunk) => machine.push(chunk)).join('') + machine.end();
  return { text, isStopped: machine.isStopped };
}

it('cuts before a stop string that arrives in pieces', () => {
  expect(run(['END'], ['a E', 'N', 'D b'])).toEqual({ text: 'a ', isStopped: true });
});

it('gives back what only looked like the beginning of one', () => {
  expect(run(['END'], ['a E', 'N', 'X'])).toEqual({ text: 'a ENX', isStopped: false });
  expect(run(['END'], ['a EN'])).toEqual({ text: 'a EN', isStopped: false });
});

it('holds nothing back that cannot grow into a stop string', () => {
  expect(new StopStrings(['\n\n']).push('plain')).toBe('plain');
});

it('takes the earliest of several', () => {
  expect(run(['cd', 'bcdx'], ['abcd']).text).toBe('ab');
});

const word = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 3 });

it('cuts at the first place where a stop string is complete, however the text is cut up', () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 3 }), fc.array(word, { maxLength: 12 }), (stops, chunks) => {
      const all = chunks.join('');
      const { text, isStopped } = run(stops, chunks);
      expect(isStopped).toBe(stops.some((stop) => all.includes(stop)));
      expect(all.startsWith(text)).toBe(true);
      for (const stop of stops) expect(text).not.toContain(stop);
      if (!isStopped) expect(text).toBe(all);
    }),
  );
});
