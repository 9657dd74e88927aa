/** @file `quasar data inspect`, and data through the verbs that read it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { createHubClient, serveHub } from '../packages/hub/src/index.ts';
import { quasar } from './support/run.ts';

const folder = mkdtempSync(join(tmpdir(), 'quasar-e2e-data-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const home = ['--home', at('home')];
const lines = (count: number) =>
  Array.from({ length: count }, (_, i) => `${JSON.stringify({ text: `Line ${i} of the data says ${i * i}.` })}\n`).join(
    '',
  );

it('inspect: a table, the same as JSON, and what was left out', async () => {
  writeFileSync(at('book.txt'), 'A sentence of the book. Another one.\n\n'.repeat(800));
  writeFileSync(at('lines.jsonl'), `${lines(200)}broken\n{"text": 7}\n`);
  const { code, stdout, stderr } = await quasar('data', 'inspect', at('book.txt'), at('lines.jsonl'), ...home);
  expect(code, stderr).toBe(0);
  const [head, book, second, empty, left] = stdout.split('\n');
  expect(head).toMatch(/^data +files +documents +tokens +MB of text +bytes\/token +held out +left out$/);
  expect(book).toMatch(/^book +1 +\d+ +\d+ +0\.03 +\d\.\d{3} +\d+\.\d\d % +0$/);
  expect(second).toMatch(/^lines +1 +200 +\d+ +0\.01 +\d\.\d{3} +\d+\.\d\d % +2$/);
  expect([empty, left]).toEqual([
    '',
    expect.stringContaining(`left out: ${at('lines.jsonl')}:201: expected a JSON object`),
  ]);
  const again = await quasar('data', 'inspect', at('book.txt@2'), at('lines.jsonl'), ...home, '--json');
  const { data, skipped, specs } = JSON.parse(again.stdout.trim().split('\n').at(-1) as string);
  expect(data).toMatchObject([
    { name: 'book', files: 1, skipped: 0 },
    { name: 'lines', documents: 200, skipped: 2 },
  ]);
  expect(skipped).toMatchObject([{ line: 201, code: 'data.bad_jsonl', count: 2 }]);
  expect(specs).toEqual([at('book.txt@2'), at('lines.jsonl')]);
  // Tokenised once: the same shards, nothing half.
  expect(readdirSync(join(at('home'), 'cache', 'tokens')).length).toBe(3);
});

it('bad data is a line and exit code 2', async () => {
  writeFileSync(at('noise.bin'), Uint8Array.of(1, 0, 2, 0));
  const { code, stderr } = await quasar('data', 'inspect', at('noise.bin'), ...home, '--quiet');
  expect([code, stderr]).toEqual([2, expect.stringContaining('[data.not_text]')]);
  const other = await quasar('data', 'inspect', at('lines.jsonl'), '--text-field', 'body', ...home, '--quiet');
  expect([other.code, other.stderr]).toEqual([2, expect.stringMatching(/lines\.jsonl:1: .*\[data\.bad_jsonl\]/)]);
});

it('a data set of the hub trains a tokenizer and a model, pinned to its revision', { timeout: 300_000 }, async () => {
  const hub = await serveHub({ directory: at('hub'), port: 0 });
  process.env.HF_ENDPOINT = hub.url;
  try {
    const client = createHubClient({ url: hub.url, cacheDirectory: at('publisher') });
    const files = [{ path: 'data/train.jsonl', content: Buffer.from(lines(300)) }];
    const { revision } = await client.publish('datasets/alice/lines', files);
    const inspect = await quasar('data', 'inspect', 'hf:alice/lines', ...home, '--json');
    expect(JSON.parse(inspect.stdout.trim().split('\n').at(-1) as string)).toMatchObject({
      data: [{ name: 'text', documents: 300 }],
      specs: [`hf:alice/lines@${revision}`],
    });
    const vocabulary = at('tokenizer.json');
    const learned = await quasar(
      ...['tokenizer', 'train', '--out', vocabulary, '--size', '300', '--conversations', '50'],
      ...['--data', 'hf:alice/lines', '--data', at('book.txt'), ...home],
    );
    expect(learned.code, learned.stderr).toBe(0);
    expect(readFileSync(vocabulary, 'utf8')).toContain('sentence');
    const trained = await quasar(
      ...['pretrain', '--tokenizer', vocabulary, '--out', at('model'), '--steps', '2', '--rows', '2', '--tokens', '32'],
      ...['--data', 'hf:alice/lines@0.5', 'world@0.5', '--json', ...home],
    );
    expect(trained.code, trained.stderr).toBe(0);
    const { evaluations } = JSON.parse(trained.stdout.trim().split('\n').at(-1) as string);
    expect(Object.keys(evaluations[0].heldOut).sort()).toEqual(['text', 'world']);
    const { run } = JSON.parse(readFileSync(join(at('model'), 'run', 'run.json'), 'utf8'));
    expect(run.data.specs).toEqual([`hf:alice/lines@${revision}@0.5`, 'world@0.5']);
  } finally {
    delete process.env.HF_ENDPOINT;
    await hub.close();
  }
});
