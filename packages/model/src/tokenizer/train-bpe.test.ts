import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pieces } from './pieces.ts';
import { Tokenizer } from './tokenizer.ts';
import { trainBpe } from './train-bpe.ts';
import { SPECIAL_TOKENS } from './vocabulary.ts';

const tokenTexts = (tokenizer: Tokenizer) =>
  tokenizer.vocabulary.tokens.slice(256).map((bytes) => Buffer.from(bytes).toString('latin1'));

/** The definition, without a heap: count all pairs, merge the most frequent, start again. */
function trainPlainly(texts: string[], merges: number): string[] {
  let words = texts.flatMap((text) => [...pieces(text)].map((piece) => [...Buffer.from(piece)]));
  const tokens = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));
  while (tokens.length < 256 + merges) {
    const counts = new Map<string, number>();
    for (const ids of words)
      for (let i = 0; i + 1 < ids.length; i++) {
        const key = `${ids[i]} ${ids[i + 1]}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    const byRule = [...counts].map(
      ([key, count]) => [count, ...key.split(' ').map(Number)] as [number, number, number],
    );
    const [best] = byRule.sort((a, b) => b[0] - a[0] || a[1] - b[1] || a[2] - b[2]);
    if (best === undefined || best[0] < 2) break;
    const [, left, right] = best;
    const text = tokens[left]! + tokens[right]!;
    const known = tokens.indexOf(text);
    const result = known >= 0 ? known : tokens.push(text) - 1;
    words = words.map((ids) => {
      const merged: number[] = [];
      for (let i = 0; i < ids.length; i++) {
        const isPair = ids[i] === left && ids[i + 1] === right;
        merged.push(isPair ? result : ids[i]!);
        if (isPair) i++;
      }
      return merged;
    });
  }
  return tokens.slice(256);
}

describe('trainBpe', () => {
  test('merges the most frequent pair first; ties go to the lower ids', () => {
    const tokenizer = trainBpe(['aaab aaab xyxy zz zz'], { vocabSize: 256 + 7 + 3 });
    expect(tokenTexts(tokenizer).slice(0, 3)).toEqual(['aa', ' z', 'ab']);
  });

  test('finds what the plain definition finds', () => {
    const text = fc.string({ unit: fc.constantFrom(...'aab bc é1'), maxLength: 60 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 5 }), (texts) => {
        const trained = tokenTexts(trainBpe(texts, { vocabSize: 256 + 7 + 20 }));
        expect(trained.slice(0, -7)).toEqual(trainPlainly(texts, 20));
      }),
      { numRuns: 200 },
    );
  });

  test('what it trains can be written and read, and equal texts give equal bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 60 }), { maxLength: 5 }), (texts) => {
        const one = trainBpe([...texts, ...texts], { vocabSize: 300 });
        expect(Tokenizer.parse(one.toJson()).vocabulary).toEqual(one.vocabulary);
        expect(trainBpe([...texts, ...texts], { vocabSize: 300 }).toJson()).toBe(one.toJson());
        for (const text of texts) expect(one.decode(one.encode(text))).toBe(Buffer.from(text).toString());
      }),
    );
  });

  test('ends early when nothing repeats, and special tokens stand last', () => {
    const tokenizer = trainBpe(['abcdefg'], { vocabSize: 5000, specials: ['<|think|>', '<|bos|>'] });
    expect(tokenizer.vocabSize).toBe(256 + 8);
    expect(tokenTexts(tokenizer)).toEqual([...Object.values(SPECIAL_TOKENS), '<|think|>']);
    expect(tokenizer.specials).toMatchObject({ bos: 256, end: 257, eos: 257, pad: 262 });
  });

  test('a very long run neither stalls training nor becomes a token', () => {
    const tokenizer = trainBpe(['ab'.repeat(500_000), 'low low'], { vocabSize: 300 });
    expect(tokenTexts(tokenizer).slice(0, -7).join(' ')).not.toContain('ab');
  });

  test.each([0, 262, 263.5, Number.NaN, 2 ** 20 + 1])('refuses a vocabulary of %d', (vocabSize) => {
    expect(() => trainBpe([], { vocabSize })).toThrow(expect.objectContaining({ code: 'tokenizer.vocab_too_small' }));
  });
});
