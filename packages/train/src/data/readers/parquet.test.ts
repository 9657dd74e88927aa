/** @file Parquet as Apache Arrow writes it, in every codec, whole and broken. The files are made by tests/oracles/parquet_files.py. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dataFile, readAll, testFolder, texts } from '../../testing/read-all.ts';
import { readDocuments } from './read.ts';

const FOLDER = join(import.meta.dirname, '../../../../../tests/oracles/vectors/parquet');
const { write } = testFolder();
const file = (name: string) => join(FOLDER, `${name}.parquet`);
const text = (i: number) => `Row ${i} says: ÄÖÜ 😀 ${'and so on '.repeat(i % 7)}`;

describe('reads', () => {
  it.each(['none', 'snappy', 'gzip', 'brotli', 'zstd', 'lz4'])('codec %s', async (codec) => {
    const { documents, skips } = await readAll(file(codec));
    expect(texts(documents)).toEqual(Array.from({ length: 10 }, (_, i) => text(i)));
    expect(skips).toEqual([]);
  });

  it('row groups one after another, without rows of no text', async () => {
    const groups: number[] = [];
    const options = { textField: 'text', passageBytes: 4096, onSkip: () => expect.fail('nothing is wrong here') };
    const all: string[] = [];
    for await (const some of readDocuments(dataFile(file('groups')), options)) {
      groups.push(some.length);
      all.push(...texts(some));
    }
    expect(groups).toEqual([7, 7, 4]);
    expect(all).toEqual(
      Array.from({ length: 20 }, (_, i) => i)
        .filter((i) => i !== 3 && i !== 11)
        .map(text),
    );
  });

  it('conversations; a bad one is passed over', async () => {
    const { documents, skips } = await readAll(file('messages'));
    expect(documents).toHaveLength(5);
    expect(documents[2]).toEqual({
      messages: [
        { role: 'user', content: 'What is 2 + 2?' },
        { role: 'assistant', content: '4' },
      ],
    });
    expect(skips).toMatchObject([{ line: 6, code: 'data.bad_row' }]);
  });

  it('another column', async () => {
    expect(texts((await readAll(file('other_column'), { textField: 'body' })).documents)).toEqual(['one', 'two']);
  });
});

describe('passes over', () => {
  it('a row that is no UTF-8', async () => {
    const { documents, skips } = await readAll(file('bad_utf8'));
    expect(texts(documents)).toEqual(['good', 'good again']);
    expect(skips).toMatchObject([{ line: 2, code: 'data.not_text' }]);
  });

  it.each([
    ['empty', 0, []],
    ['other_column', 0, ['data.no_column']],
    ['numbers', 0, ['data.bad_row', 'data.bad_row', 'data.bad_row']],
  ])('%s', async (name, count, codes) => {
    const { documents, skips } = await readAll(file(name));
    expect(documents).toHaveLength(count);
    expect(skips.map(({ code }) => code)).toEqual(codes);
  });

  it('a column that is not there: the message says which are', async () => {
    expect((await readAll(file('other_column'))).skips[0]?.message).toContain('body, id');
  });

  const whole = readFileSync(file('groups'));
  it.each([
    ['nothing', new Uint8Array()],
    ['text', Buffer.from('{"text": "this is JSON"}\n')],
    ['cut short', whole.subarray(0, whole.length - 100)],
    ['its second half', whole.subarray(whole.length / 2)],
  ])('no Parquet: %s', async (_, bytes) => {
    const { documents, skips } = await readAll(write('a.parquet', bytes));
    expect(documents).toEqual([]);
    expect(skips.map(({ code }) => code)).toEqual(['data.bad_parquet']);
  });

  it('property: cut anywhere, it is no Parquet any more', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), async (length) => {
        const { documents, skips } = await readAll(write('a.parquet', whole.subarray(0, length)));
        expect(documents).toEqual([]);
        expect(skips.map(({ code }) => code)).toEqual(['data.bad_parquet']);
      }),
      { numRuns: 100 },
    );
  });
});
