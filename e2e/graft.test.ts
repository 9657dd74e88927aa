/** @file A graft from training to an answer: `quasar graft`, then `chat`, `serve` and `model` with the folder of its branches. */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine } from '@quasar/infer';
import { loadBranches, loadCheckpoint } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { QUASAR, REPOSITORY } from './support/paths.ts';
import { quasar, run } from './support/run.ts';

let root: string;
let server: ChildProcess | null = null;
const at = (name: string) => join(root, name);
const TEXT = '2 + 3 =';
const TOKENS = 24;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quasar-graft-'));
  for (const name of ['config.json', 'tokenizer.json', 'model.safetensors'])
    cpSync(join(REPOSITORY, 'assets/base', name), join(root, 'nano', name));
  const branches = ['--layers', '1', '--heads', '1', '--head-dim', '16', '--conv', '0', '--learning-rate', '0.2'];
  const size = ['--steps', '3', '--rows', '1', '--tokens', '256', '--lengths', '512', '--needles', '1'];
  const where = ['--base', at('nano'), '--out', at('branches'), '--home', at('home')];
  const { code, stdout, stderr } = await quasar('graft', ...branches, ...size, ...where);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stdout).toMatch(/base weights as before: sha256 [0-9a-f]{64}/);
}, 120_000);
afterAll(() => {
  server?.kill('SIGKILL');
  rmSync(root, { recursive: true });
});

/** What the branches and their base give in memory, as training has them. */
async function answerInMemory(): Promise<string> {
  const device = openDevice();
  const { config, parameters, tokenizer } = loadBranches(at('branches'), loadCheckpoint(at('nano'), device));
  const engine = new Engine(config, parameters, tokenizer, device);
  const plain = await Engine.load(at('nano'));
  const prompt = tokenizer.encode(TEXT);
  const options = { maxNewTokens: TOKENS, temperature: 0 };
  const answers = await Promise.all([engine, plain].map((one) => one.generate([prompt], options)));
  const [grafted, base] = answers.map(([answer]) => tokenizer.decode(answer?.tokens ?? new Int32Array()));
  expect(grafted).not.toBe(base);
  expect(grafted).not.toBe('');
  return grafted as string;
}

const chat = (...flags: string[]) =>
  run(process.execPath, [QUASAR, 'chat', at('branches'), '--plain', '--temperature', '0', ...flags], {
    input: `${TEXT}\n`,
  });

it('chat and the server answer as the model in memory does', async () => {
  const expected = await answerInMemory();
  const { code, stdout, stderr } = await chat('--json', '--max-tokens', String(TOKENS));
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(JSON.parse(stdout).turns).toEqual([{ prompt: TEXT, answer: expected }]);

  const { url, models } = await serveBranches();
  expect(models).toEqual(['branches']);
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'branches', prompt: TEXT, max_tokens: TOKENS, temperature: 0 }),
  });
  expect(await response.json()).toMatchObject({ model: 'branches', choices: [{ text: expected }] });
});

it('info names the base; bench runs; a base that was moved is named, and taken from where it is now', async () => {
  const info = await quasar('model', 'info', at('branches'));
  expect(info.stdout).toMatch(/1 grafted quasar/);
  expect(info.stdout).toMatch(/branches upon \.\.\/nano, whose weights have sha256 [0-9a-f]{64}/);
  renameSync(at('nano'), at('elsewhere'));
  const bench = (...flags: string[]) =>
    quasar('model', 'bench', at('branches'), '--prefill', '8', '--decode', '2', ...flags);
  expect(await bench()).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/no checkpoint is there.*\n?.*--base FOLDER/),
  });
  expect(await bench('--base', at('elsewhere'))).toMatchObject({ code: 0 });
  expect(await chat('--base', join(REPOSITORY, 'assets/teacher'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('[checkpoint.other_base]'),
  });
});

/** What `quasar serve --json` says when it is ready. */
function serveBranches(): Promise<{ url: string; models: string[] }> {
  const flags = ['serve', at('branches'), '--port', String(20_000 + (process.pid % 10_000)), '--home', at('home')];
  const child = spawn(process.execPath, [QUASAR, ...flags, '--json'], { stdio: ['ignore', 'pipe', 'ignore'] });
  server = child;
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
      const line = text.split('\n').find((one) => one.includes('"url"') && one.includes('"models"'));
      if (line) resolve(JSON.parse(line));
    });
    child.on('exit', (code) => reject(new Error(`quasar serve ended with ${code}: ${text}`)));
  });
}
