/** @file From --data to documents: what is trained on, what is held out, what is refused, and where a reader goes on. */
import { join } from 'node:path';
import { createHubClient, type LocalHub, serveHub } from '@quasar/hub';
import { afterEach, describe, expect, it } from 'vitest';
import { testFolder } from '../testing/read-all.ts';
import { TOKENIZER } from '../testing/tiny.ts';
import { type Document, pack } from './batch.ts';
import type { DocumentTable } from './corpus.ts';
import { type OpenDataOptions, openData } from './open.ts';
import type { Source } from './source.ts';
import { parseData } from './spec.ts';

const { path, write } = testFolder();
const BOS = TOKENIZER.specials.bos;
const open = (specs: string[], options: Partial<OpenDataOptions> = {}) =>
  openData(parseData(specs), {
    tokenizer: TOKENIZER,
    cacheDirectory: join(path(), 'cache'),
    windowTokens: 32,
    ...options,
  });

const draws = (source: Source, seed: string, count: number): Document[] => {
  const reader = source.open(seed);
  return Array.from({ length: count }, () => reader.next());
};
const decode = ({ ids }: Document) => TOKENIZER.decode(ids.filter((id) => id !== BOS));
const jsonl = (count: number, text = (i: number) => `This is document number ${i} of the file.`) =>
  Array.from({ length: count }, (_, i) => `${JSON.stringify({ text: text(i) })}\n`).join('');

describe('a book', () => {
  const sentence = (i: number) =>
    `Sentence ${i} of the book says what the answer ${i * 7} is.\n${i % 9 === 0 ? '\n' : ''}`;
  const book = Array.from({ length: 3000 }, (_, i) => sentence(i)).join('');

  it('has a part to train on and a part that is held out, nothing in both, nothing lost', async () => {
    const { train, heldOut, parts, skipped } = await open([write('book.txt', book)]);
    expect(skipped).toEqual([]);
    expect([train.name, ...Object.keys(heldOut)]).toEqual(['text', 'text']);
    const [part] = parts;
    expect((part?.train.textBytes as number) + (part?.heldOut.textBytes as number)).toBe(Buffer.byteLength(book));
    expect(part?.heldOut.textBytes).toBeGreaterThan(0);
    expect(part?.heldOut.textBytes).toBeLessThan(0.15 * book.length);
    const numbers = (source: Source) => {
      // Many epochs' worth of windows: every sentence that is whole in one.
      const seen = new Set<string>();
      for (const one of draws(source, 'seen', 12_000)) {
        for (const [, number] of decode(one).matchAll(/answer (\d+) is/g)) seen.add(number as string);
      }
      return seen;
    };
    const [trained, held] = [numbers(train), numbers(heldOut.text as Source)];
    expect([...held].filter((one) => trained.has(one))).toEqual([]);
    expect(trained.size + held.size).toBeGreaterThan(2900);
  }, 20_000);

  it('bytes per token are those of the held-out text', async () => {
    const { heldOut, parts } = await open([write('book.txt', book)]);
    const table = parts[0]?.heldOut as DocumentTable;
    let [predictions, bytes] = [0, 0];
    for (let document = 0; document < table.documents; document++) {
      const { ids } = table.read(document, 0, table.length(document));
      predictions += ids.length - 1;
      bytes += Buffer.byteLength(TOKENIZER.decode(ids.subarray(1)));
    }
    expect(heldOut.text?.bytesPerToken).toBeCloseTo(bytes / predictions, 12);
    expect(predictions).toBeGreaterThan(500);
  });

  it('one epoch gives every prediction once; windows have one token more, so that none is lost', async () => {
    const { train, parts } = await open([write('book.txt', book)]);
    const table = parts[0]?.train;
    const predictions = (table?.tokens as number) - (table?.documents as number);
    const reader = train.open('epoch');
    for (let epoch = 0; epoch < 3; epoch++) {
      let seen = 0;
      while (seen < predictions) seen += reader.next().ids.length - 1;
      expect(seen).toBe(predictions);
    }
    const full = draws(train, 'rows', 20);
    expect(full.filter(({ ids }) => ids.length === 33).length).toBeGreaterThan(10);
    const { targets } = pack({ next: () => full.find(({ ids }) => ids.length === 33) as Document }, 2, 32);
    expect(targets.includes(-1)).toBe(false);
  });

  it('goes on at any position; the order is a function of the seed', async () => {
    const { train } = await open([write('book.txt', book)]);
    const whole = draws(train, 'seed', 500);
    const reader = train.open('seed');
    for (let i = 0; i < 123; i++) reader.next();
    const again = train.open('seed', JSON.parse(JSON.stringify(reader.position)));
    expect(Array.from({ length: 377 }, () => again.next())).toEqual(whole.slice(123));
    expect(draws(train, 'other', 500)).not.toEqual(whole);
    expect(() => train.open('seed', { drawn: 1, parts: [] })).toThrow(
      expect.objectContaining({ code: 'data.bad_position' }),
    );
  });

  it.each([250, 1000, 5000])('of %i bytes still has both parts', async (length) => {
    const { parts, heldOut } = await open([write('small.txt', book.slice(0, length))]);
    expect(parts[0]?.train.textBytes).toBeGreaterThan(0.5 * length);
    expect(Object.keys(heldOut)).toEqual(['text']);
  });

  it('that says the same again and again still has both parts', async () => {
    const { parts } = await open([write('same.txt', 'The text of the user. '.repeat(50))]);
    expect(parts[0]?.train.tokens).toBeGreaterThan(0);
    expect(parts[0]?.heldOut.tokens).toBeGreaterThan(0);
  });
});

describe('documents', () => {
  it('are whole, begin with <|bos|>, and equal ones are on one side', async () => {
    const lines = jsonl(400, (i) => `The document number ${i % 200}.`);
    const { train, heldOut, parts } = await open([write('a.jsonl', lines)], { windowTokens: 64 });
    const [trained, held] = [draws(train, 'x', 800), draws(heldOut.text as Source, 'x', 50)];
    for (const { ids } of [...trained, ...held]) expect(ids[0]).toBe(BOS);
    const heldTexts = new Set(held.map(decode));
    expect(trained.map(decode).filter((text) => heldTexts.has(text))).toEqual([]);
    expect((parts[0]?.heldOut.documents as number) % 2).toBe(0);
    expect((parts[0]?.train.documents as number) + (parts[0]?.heldOut.documents as number)).toBe(400);
  });

  it('the share that is held out is as asked', async () => {
    const file = write('a.jsonl', jsonl(4000));
    const share = async (heldOutShare: number) => {
      const { parts } = await open([file], { heldOutShare });
      return (parts[0]?.heldOut.documents as number) / 4000;
    };
    // Binomial: four standard deviations.
    expect(Math.abs((await share(0.1)) - 0.1)).toBeLessThan(0.019);
    expect(Math.abs((await share(0.02)) - 0.02)).toBeLessThan(0.009);
    expect(await share(0)).toBe(0);
    expect((await open([file], { heldOutShare: 0 })).heldOut).toEqual({});
  });

  it('of a folder: every format, in bundles', async () => {
    write('data/a.txt', 'Plain text. '.repeat(30));
    write('data/sub/b.md', 'Marked text. '.repeat(30));
    write('data/c.jsonl', jsonl(10));
    write('data/picture.png', 'no');
    const { parts } = await open([join(path(), 'data')]);
    expect(parts[0]).toMatchObject({ files: 3, skipped: [] });
    expect(parts[0]?.train.textBytes).toBeGreaterThan(800);
  });

  it('replies of conversations count fully, the rest a tenth', async () => {
    const lines = Array.from({ length: 20 }, (_, i) =>
      JSON.stringify({
        messages: [
          { role: 'user', content: `what ${i}` },
          { role: 'assistant', content: `this ${i}` },
        ],
      }),
    );
    const { train } = await open([write('chat.jsonl', lines.join('\n'))]);
    const { assistant } = TOKENIZER.specials;
    for (const { ids, weights } of draws(train, 'chat', 30)) {
      const reply = ids.indexOf(assistant);
      expect([...weights].map((weight) => Math.round(weight * 10))).toEqual(
        [...ids].map((_, t) => (t > reply ? 10 : 1)),
      );
    }
  });
});

describe('mixtures', () => {
  it('weights are shares of tokens, of corpora and of the world', async () => {
    const book = write('book.txt', 'The words of a book go on and on for ever. '.repeat(2000));
    const lines = write('lines.jsonl', jsonl(500));
    const { train, heldOut, specs } = await open([`${book}@2`, `${lines}@1`, 'world@1'], { windowTokens: 128 });
    expect(train.name).toBe('book+lines+world');
    expect(Object.keys(heldOut)).toEqual(['book', 'lines', 'world']);
    expect(specs).toEqual([`${book}@2`, lines, 'world']);
    const count = { book: 0, lines: 0, world: 0 };
    const { tokens, positions } = pack(train.open('mix'), 600, 128);
    let kind: keyof typeof count = 'book';
    for (const [at, id] of tokens.entries()) {
      if (positions[at] === 0) {
        const next = tokens[at + 1];
        const isText = id === BOS && next !== undefined && !TOKENIZER.isSpecial(next);
        kind = id !== BOS ? 'book' : isText ? 'lines' : 'world';
      }
      count[kind]++;
    }
    const total = tokens.length;
    expect(Math.abs(count.book / total - 0.5)).toBeLessThan(0.05);
    expect(Math.abs(count.lines / total - 0.25)).toBeLessThan(0.05);
    expect(Math.abs(count.world / total - 0.25)).toBeLessThan(0.05);
    for (const source of Object.values(heldOut)) expect(source.bytesPerToken).toBeGreaterThan(0.5);
  });
});

describe('bad data', () => {
  it.each<[string, string, string | Uint8Array, string]>([
    ['an empty file', 'a.txt', '', 'data.too_short'],
    ['a short file', 'a.txt', 'x'.repeat(199), 'data.too_short'],
    ['a binary file', 'a.txt', Uint8Array.of(1, 2, 0, 3), 'data.not_text'],
    ['Latin-1', 'a.txt', Buffer.from('Le café. '.repeat(100), 'latin1'), 'data.not_text'],
    ['empty texts', 'a.jsonl', '{"text": ""}\n'.repeat(9), 'data.too_short'],
    ['JSONL that is none', 'a.jsonl', 'no JSON\n'.repeat(9), 'data.bad_jsonl'],
    ['JSONL that is mostly none', 'a.jsonl', `${'no JSON\n'.repeat(9)}${jsonl(8)}`, 'data.mostly_bad'],
    ['one document', 'a.jsonl', JSON.stringify({ text: 'x'.repeat(1000) }), 'data.too_short'],
    ['Parquet that is none', 'a.parquet', 'PAR1 or not', 'data.bad_parquet'],
  ])('%s', async (_, name, content, code) => {
    const file = write(name, content);
    await expect(open([file])).rejects.toMatchObject({ code, message: expect.stringContaining(file) });
    await expect(open([file])).rejects.toMatchObject({ hint: expect.stringMatching(/.{5}/) });
  });

  it('a few bad lines are counted and reported, from the cache as well', async () => {
    const bad = `broken\n${jsonl(50)}{"text": 1}\nbroken\n`;
    const file = write('a.jsonl', bad);
    for (let start = 0; start < 2; start++) {
      const { skipped, parts } = await open([file]);
      expect(skipped).toMatchObject([{ path: file, line: 1, code: 'data.bad_jsonl', count: 3 }]);
      expect((parts[0]?.train.documents as number) + (parts[0]?.heldOut.documents as number)).toBe(50);
    }
  });

  it('a bad file of a folder is passed over', async () => {
    write('data/good.jsonl', jsonl(20));
    const bad = write('data/bad.parquet', 'no Parquet');
    const { skipped } = await open([join(path(), 'data')]);
    expect(skipped).toMatchObject([{ path: bad, code: 'data.bad_parquet', count: 1 }]);
  });

  it('nothing there', async () => {
    await expect(open([join(path(), 'missing')])).rejects.toMatchObject({ code: 'data.unreadable' });
    await expect(open([path()])).rejects.toMatchObject({ code: 'data.no_text' });
    await expect(open([])).rejects.toMatchObject({ code: 'data.bad_spec' });
    await expect(open(['hf:a/b'])).rejects.toMatchObject({ code: 'data.no_hub' });
  });

  it('stops when told to', async () => {
    const controller = new AbortController();
    const file = write('a.jsonl', jsonl(30_000));
    const onProgress = () => controller.abort();
    await expect(open([file], { signal: controller.signal, onProgress })).rejects.toMatchObject({
      code: 'data.cancelled',
    });
  });
});

describe('documents of recall', () => {
  const asked = (document: Document) => document.weights.some((weight) => weight > 1);

  it('have as many tokens as asked for, with the other data among them, worded otherwise where held out', async () => {
    const file = write('lines.jsonl', jsonl(300));
    const { train, heldOut, specs } = await open(['recall@3', file], { windowTokens: 256 });
    expect(specs).toEqual(['recall@3', file]);
    expect(Object.keys(heldOut)).toEqual(['text', 'recall']);
    const documents = draws(train, 'seed', 500);
    const tokens = (some: Document[]) => some.reduce((sum, { ids }) => sum + ids.length, 0);
    expect(tokens(documents.filter(asked)) / tokens(documents)).toBeCloseTo(0.75, 1);
    const held = draws(heldOut.recall as Source, 'seed', 20);
    expect(held.every(asked)).toBe(true);
    for (const { ids } of [...held, ...documents.filter(asked)]) expect(ids.length).toBe(256);
    const numbers = (some: Document[]) => some.flatMap((one) => decode(one).match(/number \d+ of/g) ?? []);
    const [read, unseen] = [new Set(numbers(documents)), new Set(numbers(held))];
    expect(unseen.size).toBeGreaterThan(0);
    expect([...unseen].filter((one) => read.has(one))).toEqual([]);
    expect(held.some((one) => / (Give|What of the) \w+: /.test(decode(one)))).toBe(true);
    expect(documents.some((one) => / (Give|What of the) \w+: /.test(decode(one)))).toBe(false);
  });

  it('alone have short sentences among them', async () => {
    const { train, heldOut, parts } = await open(['recall'], { windowTokens: 256 });
    expect([train.name, ...Object.keys(heldOut), ...parts]).toEqual(['recall', 'recall']);
    expect(decode(draws(train, 'seed', 1)[0] as Document)).toMatch(/[A-Z][a-z]+ (waits|runs|sings|sleeps|reads)\. /);
  });
});

describe('data sets of the hub', () => {
  let hub: LocalHub | null = null;
  afterEach(() => hub?.close());

  it('are resolved, downloaded, read; the specs pin the revision', async () => {
    hub = await serveHub({ directory: join(path(), 'hub'), port: 0 });
    const client = createHubClient({ url: hub.url, cacheDirectory: join(path(), 'hub-cache') });
    const publish = (files: Record<string, string>) =>
      client.publish(
        'datasets/alice/lines',
        Object.entries(files).map(([name, content]) => ({ path: name, content: Buffer.from(content) })),
      );
    const { revision } = await publish({
      'README.md': '# Lines',
      'data/train-0.jsonl': `${jsonl(30)}broken\n`,
      'data/train-1.jsonl': jsonl(20, (i) => `Another document, ${i}.`),
      'data/test-0.jsonl': jsonl(10),
    });
    const options = { hub: () => client };
    const first = await open(['hf:alice/lines@0.5', 'world'], options);
    expect(first.specs).toEqual([`hf:alice/lines@${revision}@0.5`, 'world']);
    expect(first.parts[0]).toMatchObject({ files: 2 });
    expect(first.skipped).toMatchObject([{ path: 'hf:alice/lines:data/train-0.jsonl', line: 31, count: 1 }]);
    await publish({ 'data/train-2.jsonl': jsonl(40, (i) => `New document ${i}.`) });
    const pinned = await open(first.specs, options);
    expect(pinned.train.fingerprint).toBe(first.train.fingerprint);
    expect((await open(['hf:alice/lines'], options)).parts[0]?.files).toBe(3);
    expect((await open(['hf:alice/lines:data/test-*'], options)).parts[0]?.files).toBe(1);
    const limited = await open(['hf:alice/lines'], { ...options, maxDownloadBytes: jsonl(30).length + 20 });
    expect(limited.parts[0]?.files).toBe(1);
    expect(limited.skipped.at(-1)).toMatchObject({ code: 'data.left_out', count: 2 });
    await expect(open(['hf:alice/lines'], { ...options, maxDownloadBytes: 10 })).rejects.toMatchObject({
      code: 'data.too_large',
    });
    await expect(open(['hf:alice/nothing'], options)).rejects.toMatchObject({ code: 'data.no_dataset' });
    await expect(open(['hf:alice/lines:*.csv'], options)).rejects.toMatchObject({ code: 'data.no_text' });
  });
});
