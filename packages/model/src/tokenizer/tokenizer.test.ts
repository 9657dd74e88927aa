import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer as Oracle } from '@huggingface/tokenizers';
import { generateItem, itemMessages } from '@quasar/world';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TokenDecoder } from './decoder.ts';
import { PIECE_PATTERN, pieces } from './pieces.ts';
import { Tokenizer } from './tokenizer.ts';
import { trainBpe } from './train-bpe.ts';

const texts = Array.from({ length: 3000 }, (_, i) => itemMessages(generateItem(`${i}`, 'train')))
  .flat()
  .map((message) => message.content);
texts.push('Grüße aus Köln, naïve café 😀😀 日本語の文章 한국어 مرحبا नमस्ते e\u0301'.repeat(3));

const tokenizer = trainBpe(texts, { vocabSize: 1024 });
const oracle = new Oracle(JSON.parse(tokenizer.toJson()), { clean_up_tokenization_spaces: false });

const HOSTILE = [
  '',
  ' ',
  '\n',
  '\0',
  '\u0001\u0002\u007f\u0080\u0085\u009f',
  '\ufeffbyte order mark\ufeff',
  'a\u00a0b\u2003c\u2028d\u3000e',
  '\t\tindent\r\n \t \r\n\r\r\n  x',
  '    spaces   before  1  and   after   ',
  'e\u0301\u0302\u0303 \u0301 1\u0301 .\u0301',
  '👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 ✊🏿 🇩🇪',
  '\ud800',
  'a\udc00b\ud800\ud800c \ud83d',
  '日本語 中文 한국어 ไทย العربية עברית हिन्दी',
  '١٢٣ ②③ Ⅷ ½ 12345 3.14159 1e-9 0x1F',
  "don't DON'T we're I'll",
  '<|bos|><|end|><|user|> <|assistant|>',
  '{"name":"weather","arguments":{"city":"Rome"}}',
  'x = x + 1\nfor i in range(3):\n  print(i)\n',
  '\u202eright to left\u202c zero\u200bwidth\u200djoin',
  '𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐌰𐌱 𒀀 𠀋',
  'Ġ Ċ Ā ġ ÿ ­ \u00ad',
  '__proto__ constructor toString',
  '-'.repeat(999),
  'ab'.repeat(2000),
  '😀'.repeat(500),
  ' '.repeat(1500),
  '\ud800'.repeat(300),
  '\u0301'.repeat(300),
];

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.string({ unit: fc.constantFrom(...' \t\r\n\v\f1aZé.{"}_\u0301\u0085\ufeff\ud800\udc00'), maxLength: 40 }),
  fc.array(fc.constantFrom(...texts, ...HOSTILE), { maxLength: 3 }).map((parts) => parts.join('')),
);
/** Lone surrogates have no UTF-8. */
const wellFormed = (text: string) => Buffer.from(text, 'utf8').toString('utf8');
/** Only the oracle reads special tokens out of text. */
const withoutSpecials = (text: string) => text.replaceAll('|>', '| >');

describe('pieces', () => {
  test('are those of the pattern written into tokenizer.json', () => {
    const check = (text: string) => {
      expect([...pieces(text)]).toEqual(text.match(new RegExp(PIECE_PATTERN, 'gu')) ?? []);
    };
    HOSTILE.forEach(check);
    fc.assert(fc.property(anyText, check), { numRuns: 500 });
  });

  test('keep digits apart and words with their space', () => {
    expect([...pieces('add 123 to x1,\n  y  2')]).toEqual([
      'add',
      ' ',
      '1',
      '2',
      '3',
      ' to',
      ' x',
      '1',
      ',',
      '\n',
      '  ',
      'y',
      '  ',
      '2',
    ]);
  });
});

describe('encode and decode', () => {
  const agrees = (text: string) => {
    const ids = tokenizer.encode(text);
    expect(tokenizer.decode(ids)).toBe(wellFormed(text));
    const plain = withoutSpecials(text);
    const expected = oracle.encode(plain, { add_special_tokens: false }).ids;
    expect(Array.from(tokenizer.encode(plain))).toEqual(expected);
    if (expected.length > 0) expect(tokenizer.decode(expected)).toBe(oracle.decode(expected));
  };

  test.each(HOSTILE.map((text) => [JSON.stringify(text).slice(0, 40), text]))(
    '%s: as in other libraries',
    (_, text) => {
      agrees(text!);
    },
  );

  test('any text: round trip, and as in other libraries', () => {
    fc.assert(fc.property(anyText, agrees), { numRuns: 500 });
  });

  test('any ids decode as in other libraries', () => {
    const id = fc.integer({ min: 0, max: tokenizer.vocabSize - 1 });
    fc.assert(
      fc.property(fc.array(id, { minLength: 1, maxLength: 30 }), (ids) => {
        expect(tokenizer.decode(ids)).toBe(oracle.decode(ids, { skip_special_tokens: true }));
        expect(tokenizer.decode(ids, { specials: true })).toBe(oracle.decode(ids));
      }),
      { numRuns: 500 },
    );
  });

  test('text never becomes a special token', () => {
    const special = new Set(Object.values(tokenizer.specials));
    for (const text of Object.keys(Object.fromEntries(tokenizer.vocabulary.specials))) {
      const ids = tokenizer.encode(`a${text} ${text}`);
      expect(Array.from(ids).some((id) => special.has(id))).toBe(false);
      expect(tokenizer.decode(ids)).toBe(`a${text} ${text}`);
    }
  });

  test('digits are never merged', () => {
    for (const bytes of tokenizer.vocabulary.tokens) {
      expect(Buffer.from(bytes).toString()).not.toMatch(/\d.|.\d/s);
    }
  });

  test('ids outside the vocabulary are replacement characters, not errors', () => {
    for (const id of [-1, tokenizer.vocabSize, 2 ** 40, Number.NaN, 0.5]) expect(tokenizer.decode([id])).toBe('\ufffd');
  });

  test('a megabyte in one piece and a megabyte of text come back whole', () => {
    // With a quadratic merge loop either of these would run into the time limit of the test.
    for (const text of [
      'x'.repeat(2 ** 20),
      texts
        .join('\n')
        .repeat(20)
        .slice(0, 2 ** 20),
      '😀'.repeat(2 ** 18),
    ]) {
      expect(tokenizer.decode(tokenizer.encode(text)) === text).toBe(true);
    }
  });
});

describe('TokenDecoder', () => {
  test('pieces of a stream join to the whole and no character is cut', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const decoder = new TokenDecoder(tokenizer);
        const parts = Array.from(tokenizer.encode(text), (id) => decoder.push(id));
        parts.push(decoder.flush());
        expect(parts.join('')).toBe(wellFormed(text));
        if (!wellFormed(text).includes('\ufffd')) expect(parts.join('|')).not.toContain('\ufffd');
      }),
    );
  });

  test('an unfinished character comes out as a replacement character at the end', () => {
    const decoder = new TokenDecoder(tokenizer);
    expect(decoder.push(0xf0)).toBe('');
    expect(decoder.push(0x9f)).toBe('');
    expect(decoder.flush()).toBe('\ufffd');
    expect(decoder.push(0x61)).toBe('a');
  });
});

describe('load', () => {
  test('reads back what toJson wrote', () => {
    const directory = mkdtempSync(join(tmpdir(), 'quasar-tokenizer-'));
    try {
      writeFileSync(join(directory, 'tokenizer.json'), tokenizer.toJson());
      const loaded = Tokenizer.load(join(directory, 'tokenizer.json'));
      expect(loaded.vocabulary).toEqual(tokenizer.vocabulary);
      expect(loaded.specials).toEqual(tokenizer.specials);
      expect(loaded.toJson()).toBe(tokenizer.toJson());
      expect(() => Tokenizer.load(join(directory, 'other.json'))).toThrow(
        expect.objectContaining({ code: 'tokenizer.unreadable' }),
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
