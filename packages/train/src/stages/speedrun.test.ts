/** @file A speedrun of seconds: both models learn and are scored on what none saw; a stopped one gives the same bytes. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCheckpoint } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bitsPerByte } from '../bits-per-byte.ts';
import { parseData } from '../data/spec.ts';
import { type SpeedrunOptions, setUpSpeedrun, speedrun } from './speedrun.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'quasar-speedrun-'));
  const lines = Array.from({ length: 600 }, (_, i) => `Line ${i}: ${i % 7} and ${i % 3} make ${(i % 7) + (i % 3)}.\n`);
  writeFileSync(join(root, 'text.txt'), lines.join(''));
});
afterAll(() => rmSync(root, { recursive: true }));

const optionsOf = (directory: string): SpeedrunOptions => ({
  directory: join(root, directory),
  data: { specs: parseData([join(root, 'text.txt')]), cacheDirectory: join(root, 'cache') },
  depth: 2,
  vocabSize: 280,
  seed: 'speedrun',
  settings: { steps: 8, B: 2, T: 32, warmupSteps: 1, saveEvery: 2 },
});
const weightsOf = (directory: string) =>
  ['quasar', 'transformer'].map((model) => readFileSync(join(root, directory, model, 'model.safetensors')));

it('trains and scores both models; stopped anywhere it goes on to the same bytes', { timeout: 60_000 }, async () => {
  let planned = 0;
  const whole = await speedrun({
    ...optionsOf('whole'),
    onPlan: ({ tokens }) => {
      planned = tokens;
    },
  });
  expect(whole.rows.map(({ model, tokens }) => [model, tokens])).toEqual([
    ['quasar', planned],
    ['transformer', planned],
  ]);
  expect(readdirSync(join(root, 'whole')).sort()).toEqual(['quasar', 'speedrun.json', 'tokenizer.json', 'transformer']);
  const { heldOut } = await setUpSpeedrun(optionsOf('whole'));
  for (const row of whole.rows) {
    const checkpoint = loadCheckpoint(join(root, 'whole', row.model), openDevice());
    const found = await bitsPerByte(checkpoint, heldOut, { T: 32, B: 2 });
    expect(found.bitsPerByte).toBe(row.bitsPerByte);
    expect(found).toMatchObject(whole.heldOut);
    // A uniform guess over the vocabulary would need as many bits for each token.
    expect(found.bitsPerByte).toBeLessThan((Math.log2(280) * found.predictions) / found.bytes);
    expect(row.sample.continuation).not.toBe('');
  }

  let stops = 0;
  for (let result = null; result === null; ) {
    const controller = new AbortController();
    let steps = 0;
    const run = speedrun({
      ...optionsOf('stopped'),
      signal: controller.signal,
      onStep: () => ++steps === 5 && controller.abort(),
      onScore: () => stops === 2 && controller.abort(),
    });
    result = await run.catch((error) => {
      expect(error).toMatchObject({ code: 'train.cancelled' });
      stops++;
      return null;
    });
    if (result) expect(result.rows.map(({ bitsPerByte }) => bitsPerByte)).toEqual(whole.rows.map((r) => r.bitsPerByte));
  }
  expect(stops).toBeGreaterThanOrEqual(3);
  const [stopped, uninterrupted] = [weightsOf('stopped'), weightsOf('whole')];
  for (const [i, bytes] of stopped.entries()) expect(bytes.equals(uninterrupted[i] as Buffer)).toBe(true);

  const other = speedrun({ ...optionsOf('whole'), seed: 'other' });
  await expect(other).rejects.toMatchObject({ code: 'train.resume_mismatch' });
});

it('several texts are mixed by their weights, and each is held out in part', async () => {
  const lines = Array.from({ length: 300 }, (_, i) => `Verse ${i}: ${'la '.repeat(1 + (i % 5))}\n`);
  const [text, song] = [join(root, 'text.txt'), join(root, 'song.txt')];
  writeFileSync(song, lines.join(''));
  const setUp = (directory: string, ...data: string[]) => {
    const options = optionsOf(directory);
    return setUpSpeedrun({ ...options, data: { ...options.data, specs: parseData(data) } });
  };
  const both = await setUp('both', text, `${song}@3`, 'world');
  expect(both.specs).toEqual([text, `${song}@3`, 'world']);
  const { tokenizer, heldOut, source } = both;
  const words = (from: Iterable<Int32Array>) => [...from].map((ids) => tokenizer.decode(ids)).join('\n');
  const documents = Array.from({ length: heldOut.documents }, (_, i) => heldOut.read(i, 0, heldOut.length(i)).ids);
  expect(documents.reduce((sum, { length }) => sum + length, 0)).toBe(heldOut.tokens);
  expect(words(documents)).toMatch(/Line \d+.*Verse \d+/s);
  const reader = source.open('0');
  const share = { Line: 0, Verse: 0, other: 0 };
  for (let i = 0; i < 400; i++) {
    const { ids } = reader.next();
    const read = tokenizer.decode(ids);
    share[/la la/.test(read) ? 'Verse' : /make|and \d/.test(read) ? 'Line' : 'other'] += ids.length - 1;
  }
  expect(share.Verse / share.Line).toBeGreaterThan(2);
  expect(share.Verse / share.Line).toBeLessThan(4.5);
  expect(share.other).toBeGreaterThan(0);

  await expect(setUp('none', 'world')).rejects.toMatchObject({ code: 'data.bad_spec' });
});
