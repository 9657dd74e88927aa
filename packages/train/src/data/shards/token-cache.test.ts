/** @file Shards: tokenised once per content, whole or not at all, read back exactly, checked when opened. */
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeChatForTraining, trainBpe } from '@quasar/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dataFile, testFolder } from '../../testing/read-all.ts';
import { TOKENIZER } from '../../testing/tiny.ts';
import { ENTRY_BYTES, emitHeader, parseHeader, readEntry, type ShardHeader, writeEntry } from './format.ts';
import { Shard } from './shard.ts';
import { ShardWriter } from './shard-writer.ts';
import { TokenCache } from './token-cache.ts';

const { path, write } = testFolder();
const OPTIONS = { textField: 'text', passageBytes: 64 };
const cacheFolder = () => join(path(), 'cache');
const openCache = (tokenizer = TOKENIZER) => new TokenCache({ directory: cacheFolder(), tokenizer });
const keys = () => readdirSync(cacheFolder()).filter((name) => name !== 'tmp');
const all = (shard: Shard) => shard.ids(0, shard.header.tokens);
const BOS = TOKENIZER.specials.bos;

describe('a shard', () => {
  it('holds the tokens of a text, <|bos|> first, in passages', async () => {
    const text = 'What is the answer? This is the answer. '.repeat(40);
    const shard = await openCache().obtain([dataFile(write('a.txt', text))], OPTIONS);
    expect(TOKENIZER.decode(all(shard).subarray(1))).toBe(text);
    expect(all(shard)[0]).toBe(BOS);
    const entries = [...shard.passages()];
    expect(entries.length).toBe(shard.header.passages);
    expect(entries.length).toBeGreaterThan(10);
    expect(entries.map(({ continues }) => continues)).toEqual(entries.map((_, i) => i > 0));
    expect(entries.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(shard.header.tokens);
    expect(entries.reduce((sum, { textBytes }) => sum + textBytes, 0)).toBe(text.length);
    expect(entries[0]?.firstBytes).toBe(0);
    expect(entries[1]?.firstBytes).toBe(
      TOKENIZER.vocabulary.tokens[all(shard)[entries[0]?.tokens as number] as number]?.length,
    );
    expect(shard.header).toMatchObject({
      documents: 1,
      textBytes: text.length,
      hasTargets: false,
      bytesPerId: 2,
      skipped: [],
    });
    expect(shard.targets(3, 9)).toEqual(new Uint8Array(6).fill(1));
  });

  it('holds conversations with what the model is to produce, beside texts', async () => {
    const messages = [
      { role: 'user', content: 'what?' },
      { role: 'assistant', content: 'this' },
    ] as const;
    const lines = [{ text: 'plain text' }, { messages }, { text: 'more' }].map((line) => JSON.stringify(line));
    const shard = await openCache().obtain([dataFile(write('a.jsonl', lines.join('\n')))], OPTIONS);
    const chat = encodeChatForTraining(TOKENIZER, messages);
    const [before, inside, after] = [...shard.passages()].map(({ tokens }) => tokens) as [number, number, number];
    expect(inside).toBe(chat.ids.length);
    expect(shard.ids(before, before + inside)).toEqual(chat.ids);
    expect(shard.targets(0, shard.header.tokens)).toEqual(
      Uint8Array.from([...Array(before).fill(1), ...chat.isTarget, ...Array(after).fill(1)]),
    );
  });

  it('of a tokenizer without <|bos|> or with more than 65,536 entries', async () => {
    const { vocabulary } = TOKENIZER;
    const tokens = [...vocabulary.tokens];
    while (tokens.length < 70_000) tokens.push(new TextEncoder().encode(`filler ${tokens.length}`));
    const large = new (TOKENIZER.constructor as typeof import('@quasar/model').Tokenizer)({
      ...vocabulary,
      tokens,
      specials: new Map([['<|endoftext|>', 69_999]]),
    });
    const shard = await openCache(large).obtain([dataFile(write('a.txt', 'what is this'))], OPTIONS);
    expect(shard.header.bytesPerId).toBe(4);
    expect(all(shard)).toEqual(large.encode('what is this'));
    expect([...shard.passages()][0]?.firstBytes).toBeGreaterThan(0);
  });

  it('property: any tokens and targets come back from any window', () => {
    const passages = fc.array(fc.array(fc.tuple(fc.nat(65_535), fc.nat(1)), { minLength: 1, maxLength: 30 }), {
      minLength: 1,
      maxLength: 20,
    });
    let number = 0;
    fc.assert(
      fc.property(passages, fc.nat(), fc.nat(), (content, a, b) => {
        const folder = join(path(), `shard-${number++}`);
        const writer = new ShardWriter(folder, 65_536);
        for (const tokens of content) {
          const entry = { draw: 7, textBytes: 1, continues: false, firstBytes: 0 };
          writer.append(
            Int32Array.from(tokens, ([id]) => id),
            Uint8Array.from(tokens, ([, bit]) => bit),
            entry,
          );
        }
        writer.finish({ version: 1, key: 'k', skipped: [] });
        const shard = new Shard(folder);
        const flat = content.flat();
        const from = a % flat.length;
        const to = from + 1 + (b % (flat.length - from));
        expect([...shard.ids(from, to)]).toEqual(flat.slice(from, to).map(([id]) => id));
        expect([...shard.targets(from, to)]).toEqual(flat.slice(from, to).map(([, bit]) => bit));
      }),
      { numRuns: 40 },
    );
  });
});

describe('the cache', () => {
  const text = 'A line of text that is cached. '.repeat(20);

  it('tokenises once per content, whatever the path; anew for other bytes, tokenizers and options', async () => {
    const obtain = async (name: string, options = OPTIONS, cache = openCache()) =>
      (await cache.obtain([dataFile(join(path(), name))], options)).header.key;
    write('a.txt', text);
    write('deep/b.txt', text);
    write('c.txt', `${text}.`);
    const first = await obtain('a.txt');
    expect(await obtain('deep/b.txt')).toBe(first);
    expect(keys()).toEqual([first]);
    const others = [
      await obtain('c.txt'),
      await obtain('a.txt', { ...OPTIONS, passageBytes: 128 }),
      await obtain('a.txt', OPTIONS, openCache(trainBpe([text], { vocabSize: 280 }))),
    ];
    expect(new Set([first, ...others]).size).toBe(4);
    // Where no JSON is read, the name of its member makes no difference.
    expect(await obtain('a.txt', { ...OPTIONS, textField: 'body' })).toBe(first);
  });

  it('two at once make one shard', async () => {
    const file = dataFile(write('a.txt', text));
    const [one, other] = await Promise.all([openCache().obtain([file], OPTIONS), openCache().obtain([file], OPTIONS)]);
    expect(all(one as Shard)).toEqual(all(other as Shard));
    expect(keys()).toHaveLength(1);
    expect(readdirSync(join(cacheFolder(), 'tmp'))).toEqual([]);
  });

  it('a cancelled run leaves nothing, and says so', async () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => JSON.stringify({ text: `line ${i}` })).join('\n');
    const file = dataFile(write('a.jsonl', lines));
    const controller = new AbortController();
    const onBytes = () => controller.abort();
    const run = openCache().obtain([file], OPTIONS, { onBytes, signal: controller.signal });
    await expect(run).rejects.toMatchObject({ code: 'data.cancelled', retry: 'later' });
    expect(keys()).toEqual([]);
    expect(readdirSync(join(cacheFolder(), 'tmp'))).toEqual([]);
  });

  it('what a killed process left is removed, what a running one writes is not', () => {
    const temporary = join(cacheFolder(), 'tmp');
    for (const name of [`${2 ** 30}-dead`, `${process.pid}-alive`])
      mkdirSync(join(temporary, name), { recursive: true });
    openCache();
    expect(readdirSync(temporary)).toEqual([`${process.pid}-alive`]);
  });

  it('a file that changes meanwhile is refused', async () => {
    const file = dataFile(write('a.jsonl', `${JSON.stringify({ text })}\n`));
    const onBytes = () => writeFileSync(file.path, 'other');
    await expect(openCache().obtain([file], OPTIONS, { onBytes })).rejects.toMatchObject({ code: 'data.changed' });
    expect(keys()).toEqual([]);
  });

  it.each<[string, (folder: string) => void]>([
    [
      'a header that was edited',
      (folder) => edit(folder, 'header.json', (bytes) => bytes.toString().replace('"tokens":', '"tokens":1')),
    ],
    ['half a header', (folder) => truncateSync(join(folder, 'header.json'), 20)],
    [
      'a header of another version',
      (folder) => edit(folder, 'header.json', (bytes) => bytes.toString().replace('"version":1', '"version":2')),
    ],
    ['tokens that are cut short', (folder) => truncateSync(join(folder, 'tokens.bin'), 10)],
    ['a longer index', (folder) => edit(folder, 'index.bin', (bytes) => Buffer.concat([bytes, bytes]))],
  ])('%s: it is made again', async (_, damage) => {
    const file = dataFile(write('a.txt', text));
    const before = all(await openCache().obtain([file], OPTIONS));
    const folder = join(cacheFolder(), keys()[0] as string);
    damage(folder);
    expect(() => new Shard(folder)).toThrow(expect.objectContaining({ code: 'data.shard_damaged' }));
    const shard = await openCache().obtain([file], OPTIONS);
    expect(all(shard)).toEqual(before);
  });

  it('a missing file is no reason to make a shard', async () => {
    const file = { ...dataFile(write('a.txt', text)), path: join(path(), 'gone.txt') };
    await expect(openCache().obtain([file], OPTIONS)).rejects.toMatchObject({ code: 'data.unreadable' });
    expect(existsSync(cacheFolder()) && keys()).toEqual([]);
  });
});

describe('format', () => {
  it('property: entries and headers come back as they were', () => {
    const u31 = fc.nat(2 ** 31 - 1);
    const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    const entry = fc.record({ tokens: u32, draw: u32, textBytes: u32, continues: fc.boolean(), firstBytes: u31 });
    fc.assert(
      fc.property(entry, (given) => {
        const view = new DataView(new ArrayBuffer(ENTRY_BYTES));
        writeEntry(given, view, 0);
        expect(readEntry(view, 0)).toEqual(given);
      }),
    );
  });

  it('property: a header with any byte changed is none, or says the same', () => {
    const header: ShardHeader = {
      ...{ version: 1, key: 'a'.repeat(64), bytesPerId: 2, tokens: 10, passages: 2, documents: 1 },
      ...{ hasTargets: false, textBytes: 40 },
      skipped: [{ file: 0, code: 'data.bad_jsonl', count: 3, line: 2, message: 'got "x"', hint: 'mend it' }],
    };
    const text = emitHeader(header);
    expect(parseHeader(text)).toEqual(header);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ unit: 'binary', minLength: 0, maxLength: 3 }), (at, junk) => {
        const parsed = parseHeader(text.slice(0, at) + junk + text.slice(at + 1));
        if (parsed !== null) expect(parsed).toEqual(header);
      }),
    );
  });
});

function edit(folder: string, name: string, change: (bytes: Buffer) => string | Uint8Array): void {
  const file = join(folder, name);
  writeFileSync(file, change(readFileSync(file)));
}
