/** @file The user's text: what is read, what is held out, and the error of everything that is no text. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TOKENIZER } from '../testing/tiny.ts';
import { loadCorpus, readText } from './text-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quasar-text-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

const LONG = 'A sentence of the user. '.repeat(20);
const line = (text: unknown) => JSON.stringify({ text });

describe('reads', () => {
  it('one file of any name', () => {
    expect(readText(write('notes.log', LONG))).toEqual([LONG]);
  });

  it('a folder: the text files in it and below, in order of their paths', () => {
    write('b.md', `b ${LONG}`);
    write('a/z.txt', `a ${LONG}`);
    write('c.MD', 'c');
    write('picture.png', Uint8Array.of(0, 1));
    write('program.ts', 'no');
    mkdirSync(join(folder, 'folder.txt'));
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link.txt'));
    expect(readText(folder)).toEqual([`a ${LONG}`, `b ${LONG}`, 'c']);
  });

  it('the text of each line of .jsonl; empty lines and other fields do not matter', () => {
    const path = write('data.jsonl', `${line('one')}\r\n\n${JSON.stringify({ id: 1, text: LONG })}\n`);
    expect(readText(path)).toEqual([`one\n\n${LONG}\n`]);
  });

  it('without the byte order mark', () => {
    expect(readText(write('bom.txt', `\ufeff${LONG}`))).toEqual([LONG]);
  });
});

describe('refuses', () => {
  const code = (path: string) => {
    try {
      readText(path);
    } catch (error) {
      const { code, message, hint } = error as { code: string; message: string; hint: string };
      expect(message).toContain(path);
      expect(hint.length).toBeGreaterThan(5);
      return code;
    }
    return 'none';
  };

  it.each<[string, string, string | Uint8Array, string]>([
    ['an empty file', 'a.txt', '', 'data.too_short'],
    ['a short file', 'a.txt', 'x'.repeat(199), 'data.too_short'],
    ['spaces', 'a.txt', ' \n'.repeat(500), 'data.too_short'],
    ['a binary file', 'a.txt', Uint8Array.of(1, 2, 0, 3), 'data.not_text'],
    ['a picture', 'a.txt', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), 'data.not_text'],
    ['UTF-16', 'a.txt', Buffer.from(LONG, 'utf16le'), 'data.not_text'],
    ['Latin-1', 'a.txt', Buffer.from(`${LONG}café`, 'latin1'), 'data.not_text'],
    ['.jsonl that is no JSON', 'a.jsonl', `${line(LONG)}\n{"text": `, 'data.bad_jsonl'],
    ['.jsonl without text', 'a.jsonl', `{"content": "${LONG}"}`, 'data.bad_jsonl'],
    ['.jsonl with a number as text', 'a.jsonl', line(7), 'data.bad_jsonl'],
    ['.jsonl of lists', 'a.jsonl', '["text"]', 'data.bad_jsonl'],
    ['.jsonl with null', 'a.jsonl', 'null', 'data.bad_jsonl'],
    ['.jsonl of empty texts', 'a.jsonl', `${line('')}\n${line('')}`, 'data.too_short'],
  ])('%s', (_, name, content, expected) => {
    expect(code(write(name, content))).toBe(expected);
  });

  it('what is not there, and folders without text', () => {
    expect(code(join(folder, 'missing.txt'))).toBe('data.unreadable');
    expect(code(folder)).toBe('data.no_text');
    write('picture.png', 'x');
    expect(code(folder)).toBe('data.no_text');
  });

  it('names the bad line, and the bad file of a folder', () => {
    const path = write('deep/a.jsonl', `${line('one')}\n${line('two')}\nthree`);
    expect(() => readText(path)).toThrow(`${path}:3`);
    write('deep/b.txt', LONG);
    expect(() => readText(folder)).toThrow(`${path}:3`);
  });
});

describe('corpus', () => {
  const decode = (ids: Int32Array) => TOKENIZER.decode(ids);

  it('holds out the last tenth of each file, and nothing is in both parts', () => {
    const lines = (name: string) => Array.from({ length: 50 }, (_, i) => `${name}${i}\n`);
    write('a.txt', lines('first').join(''));
    write('b.txt', lines('second').join(''));
    const { train, heldOut } = loadCorpus(folder, TOKENIZER);
    const [trainText, heldOutText] = [decode(train), decode(heldOut)];
    for (const name of ['first', 'second']) {
      expect(trainText).toContain(`${name}0\n`);
      expect(trainText).not.toContain(`${name}49\n`);
      expect(heldOutText).toContain(`${name}49\n`);
      expect(heldOutText).not.toContain(`${name}44\n`);
    }
    expect(trainText.length + heldOutText.length).toBe([...lines('first'), ...lines('second')].join('').length);
  });

  it('never cuts a character in two', () => {
    for (const before of ['', 'x', 'xx', 'xxx']) {
      const text = before + '😀'.repeat(150);
      const { train, heldOut } = loadCorpus(write('a.txt', text), TOKENIZER);
      expect(decode(train) + decode(heldOut)).toBe(text);
      expect(decode(train)).not.toContain('\ufffd');
      expect(decode(heldOut)).not.toContain('\ufffd');
    }
  });

  it('files so small that nothing of them is left to train on', () => {
    for (let i = 0; i < 250; i++) write(`${i}.txt`, 'x');
    expect(() => loadCorpus(folder, TOKENIZER)).toThrow(expect.objectContaining({ code: 'data.too_short' }));
  });
});
