/** @file `quasar speedrun` and the dial as a newcomer runs them, on the documents of this repository. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { QUASAR, REPOSITORY } from './support/paths.ts';
import { quasar, run } from './support/run.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'quasar-speedrun-'));
});
afterEach(() => rmSync(root, { recursive: true }));

it('speedrun: from a folder and a text to a table, samples and something to talk to', async () => {
  const out = join(root, 'out');
  const flags = [
    '--data',
    join(REPOSITORY, 'docs'),
    `${join(REPOSITORY, 'README.md')}@0.5`,
    '--depth',
    '2',
    '--vocabulary',
    '300',
    '--out',
    out,
    '--home',
    root,
  ];
  const { code, stdout, stderr } = await quasar('speedrun', ...flags);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stderr).toMatch(/about \d+ s for both/);
  const table = stdout.split('\n').slice(0, 3);
  expect(table[0]).toMatch(/model .*tokens\/s .*of peak .*bits per byte/);
  const scores = table.slice(1).map((line) => Number(line.trim().split(/\s+/).at(-1)));
  // A byte drawn at random costs 8 bits; English text by its letters alone about 4.5.
  for (const score of scores) {
    expect(score).toBeGreaterThan(1);
    expect(score).toBeLessThan(4.5);
  }
  for (const model of ['quasar', 'transformer']) expect(existsSync(join(out, model, 'run/report.html'))).toBe(true);

  const again = await quasar('speedrun', ...flags, '--json');
  expect(JSON.parse(again.stdout).rows.map((row: { bitsPerByte: number }) => row.bitsPerByte.toFixed(4))).toEqual(
    scores.map((score) => score.toFixed(4)),
  );

  const talk = `echo "The model" | "$0" "$1" chat --plain "$2" --max-tokens 12 --quiet`;
  const chat = await run('bash', ['-c', talk, process.execPath, QUASAR, join(out, 'quasar')]);
  expect({ code: chat.code, stderr: chat.stderr }).toMatchObject({ code: 0 });
  expect(chat.stdout.trim().length).toBeGreaterThan(0);
});

it('pretrain --depth: size, batch and learning rate follow from one number, and a flag wins', async () => {
  const tokenizer = join(REPOSITORY, 'assets/tokenizer.json');
  const out = join(root, 'model');
  const flags = ['--depth', '2', '--tokenizer', tokenizer, '--steps', '2', '--rows', '1', '--out', out, '--home', root];
  const { code, stderr } = await quasar('pretrain', ...flags);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const { settings } = JSON.parse(readFileSync(join(out, 'run/run.json'), 'utf8')).run;
  expect(settings).toMatchObject({ steps: 2, B: 1, T: 512, matrices: 'muon' });
  expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))).toMatchObject({ n_layers: 2, d_model: 64 });
});
