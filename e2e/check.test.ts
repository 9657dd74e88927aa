/** @file `quasar check`: a miner hears what a validator would say, with an exit code to build on. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { withWrongShape } from '../packages/cli/src/scripted/broken.ts';
import { runningNet } from './support/net.ts';
import { REPOSITORY } from './support/paths.ts';
import { quasar } from './support/run.ts';

const home = inject('sharedHome');
const FILES = ['config.json', 'tokenizer.json', 'model.safetensors'];
let model: string;

beforeAll(() => {
  model = mkdtempSync(join(tmpdir(), 'quasar-check-'));
  for (const name of FILES) cpSync(join(REPOSITORY, 'assets/base', name), join(model, name));
});
afterAll(() => rmSync(model, { recursive: true, force: true }));

it('exit code 3 and every reason for a model of the wrong shape', async () => {
  await runningNet(home);
  const path = join(model, 'model.safetensors');
  writeFileSync(path, withWrongShape(readFileSync(path)));
  const { code, stdout } = await quasar('check', model, '--home', home, '--json');
  expect(code).toBe(3);
  expect(JSON.parse(stdout)).toMatchObject({
    ok: false,
    status: 'INVALID',
    issues: [{ code: 'precheck.tensor_shape', path: expect.stringMatching(/^model\.safetensors#/) }],
  });
});

it('exit code 4 when the chain does not answer', async () => {
  const { code, stderr } = await quasar('check', model, '--home', home, '--chain', 'ws://127.0.0.1:9');
  expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringMatching(/^quasar: .* \[chain\.unreachable\]\n$/) });
});
