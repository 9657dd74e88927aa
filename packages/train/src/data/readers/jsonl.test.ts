/** @file JSONL: texts and conversations, and every way in which a line can be broken. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAll, testFolder, texts } from '../../testing/read-all.ts';
import { MAX_DOCUMENT_BYTES } from './document.ts';
import { type Line, readLines } from './lines.ts';

const { write } = testFolder();
const line = (text: unknown) => `${JSON.stringify({ text })}\n`;

describe('reads', () => {
  it('the text of each line; empty lines, empty texts and other members do not matter', async () => {
    const content = `\ufeff${line('one')}\r\n   \n${line('')}${JSON.stringify({ id: 1, text: 'two' })}`;
    const { documents, skips } = await readAll(write('a.jsonl', content));
    expect(documents).toEqual([
      { text: 'one', continues: false },
      { text: 'two', continues: false },
    ]);
    expect(skips).toEqual([]);
  });

  it('another member', async () => {
    const path = write('a.ndjson', '{"body":"one","text":"no"}\n{"text":"two"}\n');
    const { documents, skips } = await readAll(path, { textField: 'body' });
    expect(texts(documents)).toEqual(['one']);
    expect(skips.map(({ line, message }) => [line, message])).toEqual([
      [2, 'expected a JSON object with a "body" string or a "messages" list, got an object with text'],
    ]);
  });

  it('conversations', async () => {
    const messages = [
      { role: 'user', content: 'hi', name: 'x' },
      { role: 'assistant', content: 'hello' },
    ];
    const { documents } = await readAll(write('a.jsonl', JSON.stringify({ id: 7, messages })));
    expect(documents).toEqual([
      {
        messages: [
          { role: 'user', content: 'hi' },
          { role: 'assistant', content: 'hello' },
        ],
      },
    ]);
  });

  it('gzip, of several members as pigz and cat write it', async () => {
    const bytes = Buffer.concat([gzipSync(line('one')), gzipSync(line('two'))]);
    expect(texts((await readAll(write('a.jsonl.gz', bytes))).documents)).toEqual(['one', 'two']);
  });
});

describe('passes over, with the line and the reason', () => {
  it.each<[string, string | Uint8Array, string, string]>([
    ['no JSON', '{"text": ', 'data.bad_jsonl', 'no JSON'],
    ['a list', '["text"]', 'data.bad_jsonl', '["text"]'],
    ['null', 'null', 'data.bad_jsonl', 'null'],
    ['a number as text', '{"text": 7}', 'data.bad_jsonl', '"text": 7'],
    ['null as text', '{"text": null}', 'data.bad_jsonl', 'null'],
    ['no text', '{"content": "x"}', 'data.bad_jsonl', 'content'],
    ['an empty object', '{}', 'data.bad_jsonl', 'nothing'],
    ['text by inheritance only', '{"__proto__": {"text": "x"}}', 'data.bad_jsonl', '__proto__'],
    ['deep nesting', '['.repeat(200_000), 'data.bad_jsonl', 'JSON'],
    ['no UTF-8', Uint8Array.of(0x7b, 0xff, 0x7d), 'data.not_text', 'UTF-8'],
    ['a NUL', '{"text": "a\0b"}', 'data.not_text', 'UTF-8'],
    ['an unknown role', '{"messages": [{"role": "wizard", "content": "x"}]}', 'data.bad_jsonl', 'wizard'],
    ['a message without text', '{"messages": [{"role": "user", "content": null}]}', 'data.bad_jsonl', 'message 1'],
    ['no messages', '{"messages": []}', 'data.bad_jsonl', 'empty'],
    ['messages that are none', '{"messages": [7]}', 'data.bad_jsonl', 'role'],
  ])('%s', async (_, bad, code, message) => {
    const content = Buffer.concat([Buffer.from(line('before')), Buffer.from(bad), Buffer.from(`\n${line('after')}`)]);
    const { documents, skips } = await readAll(write('a.jsonl', content));
    expect(texts(documents)).toEqual(['before', 'after']);
    expect(skips).toHaveLength(1);
    expect(skips[0]).toMatchObject({ line: 2, code });
    expect(skips[0]?.message).toContain(message);
    expect(skips[0]?.message.length).toBeLessThan(250);
    expect(skips[0]?.hint.length).toBeGreaterThan(5);
  });

  it('a line of 50 MB, without ever holding it', { timeout: 20_000 }, async () => {
    const path = write('a.jsonl', line('before'));
    const fd = openSync(path, 'a');
    writeSync(fd, '{"text": "');
    const part = Buffer.alloc(2 ** 20, 'x');
    for (let i = 0; i < 50; i++) writeSync(fd, part);
    writeSync(fd, `"}\n${line('after')}`);
    closeSync(fd);
    let peak = 0;
    const before = process.memoryUsage().arrayBuffers;
    const onBytes = () => {
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
    };
    const { documents, skips } = await readAll(path, { onBytes });
    expect(texts(documents)).toEqual(['before', 'after']);
    expect(skips).toMatchObject([{ line: 2, code: 'data.line_too_long' }]);
    expect(skips[0]?.message).toContain(String(50 * 2 ** 20 + 12));
    // What was read is garbage until it is collected; a buffered line would be there twice when it is joined.
    expect(peak).toBeLessThan(3 * MAX_DOCUMENT_BYTES);
  });

  it('a binary file, as a whole', async () => {
    const { documents, skips } = await readAll(
      write('a.jsonl', Uint8Array.of(0x50, 0x41, 0x52, 0x31, 0, 0, 0x0a, 0x0a)),
    );
    expect(documents).toEqual([]);
    expect(skips).toMatchObject([{ code: 'data.not_text' }]);
    expect(skips[0]?.line).toBeUndefined();
  });
});

describe('properties', () => {
  const collect = async (bytes: Uint8Array, pieceBytes: number, maxBytes: number): Promise<Line[]> => {
    async function* pieces() {
      for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
    }
    const all: Line[] = [];
    for await (const lines of readLines(pieces(), maxBytes)) all.push(...lines);
    return all;
  };

  it('lines are those of a split, whatever the pieces; long ones are counted', async () => {
    const bytes = fc.array(fc.constantFrom(10, 97, 98, 255), { maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(
        bytes,
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 20 }),
        async (all, piece, most) => {
          const text = Buffer.from(all).toString('latin1');
          const expected = text.split('\n');
          if (expected.at(-1) === '') expected.pop();
          const found = await collect(Buffer.from(all), piece, most);
          expect(found.map((one) => (one instanceof Uint8Array ? Buffer.from(one).toString('latin1') : one))).toEqual(
            expected.map((one) => (one.length > most ? { tooLongBytes: one.length } : one)),
          );
        },
      ),
    );
  });

  it('any bytes: good lines are read, nothing throws, every other line is counted', async () => {
    const junk = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 10))),
      fc.json().map((json) => Buffer.from(json)),
      fc.string({ unit: 'binary' }).map((text) => Buffer.from(JSON.stringify({ text }))),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(junk, { maxLength: 12 }), async (lines) => {
        const isObject = (bytes: Buffer) => {
          try {
            return typeof JSON.parse(bytes.toString())?.text === 'string';
          } catch {
            return false;
          }
        };
        const content = [Buffer.from(line('first').trim()), ...lines].flatMap((one) => [one, Buffer.from('\n')]);
        const { documents, skips } = await readAll(write('fuzz.jsonl', Buffer.concat(content)));
        expect(texts(documents)[0]).toBe('first');
        expect(documents.length - 1).toBeLessThanOrEqual(lines.filter(isObject).length);
        expect(documents.length - 1 + skips.length).toBeLessThanOrEqual(lines.length);
      }),
      { numRuns: 30 },
    );
  });
});
