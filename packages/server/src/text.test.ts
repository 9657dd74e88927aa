import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cleanText } from './text.ts';

it('removes what could deceive a terminal or a reader, and keeps other text', () => {
  expect(cleanText('\u001b[31mred\u001b[0m\r\nline\u0000')).toBe('[31mred [0m line');
  expect(cleanText('safe\u202Etxt.exe\u200Bx')).toBe('safe txt.exe x');
  expect(cleanText('<b>Ünïcode 語 👑</b>')).toBe('<b>Ünïcode 語 👑</b>');
  expect(cleanText(undefined)).toBe('');
});

it('cuts to the length asked for, with an ellipsis', () => {
  expect(cleanText('abcdef', 4)).toBe('abc…');
  expect(cleanText('abcd', 4)).toBe('abcd');
});

/** Any UTF-16 code units: controls and lone surrogates among them. */
const anyText = fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units));

it('never lets a control character or a longer text through', () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 1, max: 50 }), (text, maxLength) => {
      const clean = cleanText(text, maxLength);
      expect(clean.length).toBeLessThanOrEqual(maxLength);
      expect(clean).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069\u2028\u2029]/u);
    }),
  );
});
