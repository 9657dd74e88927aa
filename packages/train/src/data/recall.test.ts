/** @file Documents of recall: the right answer was said, as far before as asked, in words that its split alone has. */
import { Rng } from '@quasar/base';
import { describe, expect, it } from 'vitest';
import { TOKENIZER } from '../testing/tiny.ts';
import { type RecallOptions, recallDocument, recallSource } from './recall.ts';
import { textSource } from './source.ts';

const TEXT = textSource('text', TOKENIZER.encode('It was a dark night, and nobody had a light. '.repeat(40)), 50);
const draw = (options: Partial<RecallOptions>, count = 20) =>
  Array.from({ length: count }, (_, i) =>
    recallDocument(
      TOKENIZER,
      new Rng(`draw/${i}`),
      { size: { tokens: 300 }, split: 'train', ...options },
      TEXT.open(`${i}`),
    ),
  );
const text = (ids: Int32Array) => TOKENIZER.decode(ids);

/** `thing: name` where it is said, and where it is asked. */
function saidAndAsked(ids: Int32Array, { from, length }: { from: number; length: number }) {
  const [before, name] = [text(ids.subarray(0, from)), text(ids.subarray(from, from + length))];
  const thing = /(\w+):$/.exec(before)?.[1];
  return { thing, name, said: before.indexOf(` ${thing}:${name}.`) };
}

describe('recallDocument', () => {
  it('asks at its end for what it said once before, thing by thing', () => {
    for (const { ids, answers } of draw({})) {
      expect(ids.length).toBe(300);
      const asked = answers.map((answer) => saidAndAsked(ids, answer));
      for (const { thing, name, said } of asked) {
        expect(name).toMatch(/^ [A-Z][a-z]+$/);
        expect(said, `${thing} in ${text(ids)}`).toBeGreaterThan(0);
      }
      expect(new Set(asked.map(({ thing }) => thing)).size).toBe(answers.length);
      expect(text(ids).endsWith(`${asked.at(-1)?.name}. `)).toBe(true);
    }
  });

  it('has the needles of a distance at its start, and nothing but filler between', () => {
    const filler = 'x'.repeat(120);
    const only = textSource('x', TOKENIZER.encode(filler), 120);
    for (let i = 0; i < 20; i++) {
      const options: RecallOptions = { size: { distance: 120 }, split: 'train' };
      const { ids, answers } = recallDocument(TOKENIZER, new Rng(`far/${i}`), options, only.open('x'));
      const [said, asked] = text(ids.subarray(1)).split(filler) as [string, string];
      const pairs = (part: string) => part.match(/\w+: \w+\. /g)?.sort();
      expect(pairs(said)?.length).toBe(answers.length);
      expect(pairs(said)).toEqual(pairs(asked));
    }
  });

  it('has half of its needles anywhere, and half in its first eighth', () => {
    const places = draw({ needles: 1 }, 200).map(({ ids, answers }) => {
      const { said } = saidAndAsked(ids, answers[0] as { from: number; length: number });
      return said / text(ids).length;
    });
    const early = places.filter((place) => place < 0.25).length / places.length;
    expect(early).toBeGreaterThan(0.5);
    expect(early).toBeLessThan(0.75);
  });

  it('words what leads to needles and questions otherwise in tests than in training', () => {
    const leads = (split: 'train' | 'test') =>
      new Set(draw({ split }, 60).flatMap(({ ids }) => text(ids).match(/[A-Z][a-z ]*(?= \w+:)/g) ?? []));
    const [train, test] = [leads('train'), leads('test')];
    expect(test.size).toBeGreaterThan(2);
    expect([...test].filter((lead) => train.has(lead))).toEqual([]);
  });

  it('answers weigh as much as half of the tokens, whatever the length', () => {
    for (const tokens of [200, 800]) {
      for (const { weights, answers } of draw({ size: { tokens } }, 5)) {
        const sum = answers.reduce(
          (s, { from, length }) => s + weights.subarray(from, from + length).reduce((a, b) => a + b),
          0,
        );
        expect(sum).toBeCloseTo(tokens / 2, 2);
      }
    }
  });

  it('refuses a length in which it does not fit', () => {
    expect(() => draw({ size: { tokens: 40 } })).toThrow(expect.objectContaining({ code: 'data.too_short' }));
  });
});

describe('recallSource', () => {
  const source = recallSource(TOKENIZER, { tokens: (n) => 200 + 10 * n, split: 'train' }, TEXT);

  it('goes on from a position as if it had never stopped', () => {
    const whole = source.open('seed');
    const first = Array.from({ length: 5 }, () => whole.next());
    const stopped = source.open('seed');
    for (const document of first.slice(0, 2)) expect(stopped.next()).toEqual(document);
    const again = source.open('seed', JSON.parse(JSON.stringify(stopped.position)));
    for (const document of first.slice(2)) expect(again.next()).toEqual(document);
    expect(first.map(({ ids }) => ids.length)).toEqual([200, 210, 220, 230, 240]);
    expect(source.open('other').next()).not.toEqual(first[0]);
  });

  it('refuses the position of another source', () => {
    expect(() => source.open('seed', 3)).toThrow(expect.objectContaining({ code: 'data.bad_position' }));
  });
});
