/** @file Plain text in passages: joined they are the text, cut where a reader would; encodings that are none; gzip. */
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAll, testFolder, texts } from '../../testing/read-all.ts';
import { readPassages } from './passages.ts';

const { write } = testFolder();

async function passagesOf(bytes: Uint8Array, minBytes: number, pieceBytes: number): Promise<string[]> {
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
  }
  const all: string[] = [];
  for await (const some of readPassages(pieces(), minBytes))
    for (const one of some) all.push(Buffer.from(one).toString());
  return all;
}

describe('passages', () => {
  const paragraph = (n: number) => `Paragraph ${n} begins.\n${'It goes on and on. '.repeat(1 + (n % 5))}\n\n`;
  const book = Array.from({ length: 200 }, (_, n) => paragraph(n)).join('');

  it('end at the ends of paragraphs', async () => {
    const all = await passagesOf(Buffer.from(book), 256, 1000);
    expect(all.join('')).toBe(book);
    for (const passage of all) {
      expect(passage).toMatch(/^Paragraph/);
      expect(passage.endsWith('\n\n')).toBe(true);
    }
    for (const passage of all.slice(0, -1)) {
      expect(passage.length).toBeGreaterThanOrEqual(256);
      expect(passage.length).toBeLessThanOrEqual(512);
    }
  });

  it.each([
    ['lines of Windows', 'One line.\r\n\r\n', /^One line/],
    ['lines without empty ones', 'One line of a poem.\n', /^One line/],
    ['one long line', 'words and words ', /^ /],
  ])('%s', async (_, unit, start) => {
    const text = unit.repeat(300);
    const all = await passagesOf(Buffer.from(text), 128, 77);
    expect(all.join('')).toBe(text);
    expect(all.length).toBeGreaterThan(10);
    for (const passage of all.slice(1)) expect(passage).toMatch(start);
  });

  it('property: cuts depend on the bytes alone and never split a character', async () => {
    const text = fc.array(fc.constantFrom('a', ' ', '\n', '\r\n', 'é', '😀', '漢', '\n\n'), { maxLength: 400 });
    await fc.assert(
      fc.asyncProperty(
        text,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 4, max: 32 }),
        async (parts, piece, min) => {
          const bytes = Buffer.from(parts.join(''));
          const all = await passagesOf(bytes, min, piece);
          expect(all.join('')).toBe(parts.join(''));
          expect(all).toEqual(await passagesOf(bytes, min, 1000));
          for (const passage of all) expect(passage).not.toContain('\ufffd');
        },
      ),
    );
  });
});

describe('text files', () => {
  it('every passage but the first continues the one before', async () => {
    const text = 'A sentence of the user. '.repeat(2000);
    const { documents, skips } = await readAll(write('a.txt', text));
    expect(texts(documents).join('')).toBe(text);
    expect(documents.map((document) => 'text' in document && document.continues)).toEqual(
      documents.map((_, i) => i > 0),
    );
    expect(documents.length).toBeGreaterThan(5);
    expect(skips).toEqual([]);
  });

  it('a byte order mark goes, one inside of the text stays', async () => {
    expect(texts((await readAll(write('bom.txt', '\ufeffone\ufefftwo'))).documents)).toEqual(['one\ufefftwo']);
  });

  it('gzip', async () => {
    const text = 'packed and unpacked. '.repeat(1000);
    const { documents } = await readAll(write('a.txt.gz', gzipSync(text)));
    expect(texts(documents).join('')).toBe(text);
  });

  it.each([
    ['a binary file', Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 0, 0, 0)],
    ['UTF-16', Buffer.from('A sentence. '.repeat(40), 'utf16le')],
    ['Latin-1', Buffer.from('Le café est fermé. ', 'latin1')],
    ['a picture', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)],
  ])('%s gives nothing', async (_, bytes) => {
    const { documents, skips } = await readAll(write('a.txt', bytes));
    expect(documents).toEqual([]);
    expect(skips.map(({ code }) => code)).toEqual(['data.not_text']);
    expect(skips[0]?.hint).toContain('UTF-8');
  });

  it('one bad passage is passed over, with its line; the next is a document of its own', async () => {
    const good = 'A good line of text.\n'.repeat(300);
    const bytes = Buffer.concat([Buffer.from(good), Buffer.from([0xff, 0x0a]), Buffer.from(good)]);
    const { documents, skips } = await readAll(write('a.txt', bytes));
    expect(skips).toHaveLength(1);
    const line = skips[0]?.line as number;
    expect(line).toBeGreaterThan(1);
    expect(line).toBeLessThanOrEqual(301);
    const continues = documents.map((document) => 'text' in document && document.continues);
    expect(continues.filter((one) => !one)).toHaveLength(2);
    // Passages end with a line here, so that the line of the bad one can be counted.
    expect(
      texts(documents)
        .join('')
        .startsWith('A good line of text.\n'.repeat(line - 1)),
    ).toBe(true);
  });
});

describe('gzip', () => {
  it('a bomb is given up', { timeout: 20_000 }, async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 2 ** 20, 'a'));
    expect(bomb.length).toBeLessThan(2 ** 20);
    const { documents, skips } = await readAll(write('bomb.jsonl.gz', bomb));
    expect(documents).toEqual([]);
    expect(skips.map(({ code }) => code)).toEqual(['data.gzip_bomb']);
  });

  it.each([
    ['cut short', (packed: Uint8Array) => packed.subarray(0, packed.length - 20)],
    ['something else', () => Buffer.from('{"text": "not packed"}\n')],
  ])('%s', async (_, make) => {
    const packed = gzipSync(Buffer.from(Array.from({ length: 500 }, (_, i) => `{"text": "line ${i}"}\n`).join('')));
    const { skips } = await readAll(write('a.jsonl.gz', make(packed)));
    expect(skips.map(({ code }) => code)).toEqual(['data.bad_gzip']);
  });
});
