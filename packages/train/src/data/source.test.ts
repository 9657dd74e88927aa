/** @file Sources: functions of their seed, weights of the predictions, mixing, held-out documents apart. */
import { describe, expect, it } from 'vitest';
import { TOKENIZER } from '../testing/tiny.ts';
import type { Document } from './batch.ts';
import { mixture, type Source, textSource, worldSource } from './source.ts';

const draws = (source: Source, seed: string, count: number): Document[] => {
  const reader = source.open(seed);
  return Array.from({ length: count }, () => reader.next());
};

const numbers = textSource(
  'numbers',
  Int32Array.from({ length: 100 }, (_, i) => i),
  10,
);

describe.each([
  ['world', worldSource(TOKENIZER)],
  ['text', numbers],
  [
    'both',
    mixture([
      { source: worldSource(TOKENIZER), weight: 1 },
      { source: numbers, weight: 1 },
    ]),
  ],
])('%s', (_, source) => {
  it('equal seeds give equal documents, other seeds others', () => {
    expect(draws(source, 'a', 6)).toEqual(draws(source, 'a', 6));
    expect(draws(source, 'a', 6)).not.toEqual(draws(source, 'b', 6));
  });

  it('goes on from any position, over JSON', () => {
    const reader = source.open('a');
    for (let i = 0; i < 5; i++) reader.next();
    const position = JSON.parse(JSON.stringify(reader.position));
    const rest = Array.from({ length: 6 }, () => reader.next());
    const again = source.open('a', position);
    expect(Array.from({ length: 6 }, () => again.next())).toEqual(rest);
    expect(again.position).toEqual(reader.position);
  });

  it('refuses a position of another source', () => {
    const bad = [-1, 0.5, { drawn: 1, parts: [] }, { drawn: 0, parts: [0, 0, 0] }];
    for (const position of bad)
      expect(() => source.open('a', position)).toThrow(expect.objectContaining({ code: 'data.bad_position' }));
  });

  it('documents have a weight for each of their tokens', () => {
    for (const { ids, weights } of draws(source, 'weights', 30)) {
      expect(ids.length).toBeGreaterThan(0);
      expect(weights.length).toBe(ids.length);
      expect(Math.max(...ids)).toBeLessThan(TOKENIZER.vocabSize);
      expect(Math.min(...weights)).toBeGreaterThan(0);
    }
  });
});

describe('world', () => {
  it('replies count fully and end their turn; questions count a tenth', () => {
    const { bos, end, assistant, user } = TOKENIZER.specials;
    for (const { ids, weights } of draws(worldSource(TOKENIZER), 'replies', 20)) {
      expect(ids[0]).toBe(bos);
      let speaker = -1;
      for (const [t, id] of ids.entries()) {
        if (TOKENIZER.isSpecial(id) && id !== end) speaker = id;
        const isReply = speaker === assistant && id !== assistant;
        expect(weights[t]).toBeCloseTo(isReply ? 1 : 0.1, 6);
      }
      expect(ids.at(-1)).toBe(end);
      expect(ids).toContain(user);
    }
  });

  it('has as many turns as asked for', () => {
    const count = (turns: number) =>
      draws(worldSource(TOKENIZER, { turns }), 'turns', 5).map(
        ({ ids }) => ids.filter((id) => id === TOKENIZER.specials.assistant).length,
      );
    for (const turns of [1, 3]) for (const n of count(turns)) expect(n).toBeGreaterThanOrEqual(turns);
    expect(Math.max(...count(1))).toBeLessThan(Math.min(...count(9)));
  });

  it('held-out documents are none of those that a run reads', () => {
    const source = worldSource(TOKENIZER);
    const text = ({ ids }: Document) => ids.join();
    const heldOut = new Set(draws(source, 'held-out', 24).map(text));
    const read = draws(source, 'run/0', 240).map(text);
    expect(read.filter((one) => heldOut.has(one))).toEqual([]);
  });
});

describe('text', () => {
  it('gives windows of the text, all of them', () => {
    const starts = new Set<number>();
    for (const { ids } of draws(numbers, 'windows', 2000)) {
      const start = ids[0] as number;
      expect([...ids]).toEqual(Array.from({ length: 10 }, (_, i) => start + i));
      starts.add(start);
    }
    expect(starts.size).toBe(91);
  });

  it('shorter than a window: the whole text', () => {
    const short = textSource('short', Int32Array.of(1, 2, 3), 10);
    expect(draws(short, 'x', 3).map(({ ids }) => [...ids])).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it('its fingerprint is that of the text', () => {
    const of = (...ids: number[]) => textSource('t', Int32Array.from(ids), 2).fingerprint;
    expect(of(1, 2)).toBe(of(1, 2));
    expect(of(1, 2)).not.toBe(of(2, 1));
    expect(textSource('t', Int32Array.of(9, 1, 2, 9).subarray(1, 3), 2).fingerprint).toBe(of(1, 2));
  });
});

it('a mixture draws in proportion to the weights', () => {
  const one = (id: number) => textSource(`${id}`, Int32Array.of(id), 1);
  const source = mixture([
    { source: one(0), weight: 1 },
    { source: one(1), weight: 3 },
    { source: one(2), weight: 0 },
  ]);
  expect(source.name).toBe('0+1+2');
  expect(source.fingerprint?.split('+')).toHaveLength(3);
  const counts = [0, 0, 0];
  for (const { ids } of draws(source, 'mix', 4000)) counts[ids[0] as number] = (counts[ids[0] as number] as number) + 1;
  expect(counts[2]).toBe(0);
  // Binomial(4000, 1/4): four standard deviations are 110.
  expect(Math.abs((counts[0] as number) - 1000)).toBeLessThan(110);
});
