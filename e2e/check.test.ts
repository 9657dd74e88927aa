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

it('a name that is nowhere, a revision that is not there: what is wrong, and what to do', async () => {
  const { code, stderr } = await quasar('check', 'ann/modle', '--home', home);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringMatching(/the hub has no ann\/modle.*\[usage\.unknown_model\]/),
  });
  const missing = await quasar('check', `ann/model@${'ab'.repeat(20)}`, '--home', home);
  expect(missing.code).toBe(3);
  expect(missing.stdout.split('\n')[0]).toBe('REMOVED: a validator would refuse it');
  expect(missing.stdout).toMatch(/^next: see that the name is right/m);
});

/** The base model, as if it had learned something: the lowest bits of every other weight that is not zero. */
function trainedModel(): string {
  const trained = mkdtempSync(join(tmpdir(), 'quasar-trained-'));
  for (const name of FILES) cpSync(join(REPOSITORY, 'assets/base', name), join(trained, name));
  const path = join(trained, 'model.safetensors');
  const bytes = readFileSync(path);
  for (let at = 8 + Number(bytes.readBigUInt64LE(0)); at < bytes.length; at += 4)
    if ((bytes.readUInt16LE(at) & 0x7f00) !== 0) bytes.writeUInt8(bytes.readUInt8(at) ^ 0x07, at);
  writeFileSync(path, bytes);
  return trained;
}

it('a model that would be accepted: the verdict first, then what was looked at, and what to do', async () => {
  const trained = trainedModel();
  const { code, stdout } = await quasar('check', trained, '--home', home, '--no-duel', '--no-copies');
  rmSync(trained, { recursive: true });
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^OK: a validator would accept it\n\nmodel .*3 files, 4\.7 MB\n/),
  });
  expect(stdout).toMatch(/^next: publish the files/m);
});

it('miner submit says at once that there is no checkpoint', async () => {
  const { code, stderr } = await quasar('miner', 'submit', join(model, 'nowhere'), '--home', home, '--name', 'eve');
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringMatching(/^quasar: .*\[usage\.unknown_model\]\n$/),
  });
});

it('miner submit: refused with exit code 3; shown, not sent; then on chain, and not a second time', async () => {
  const refused = await quasar('miner', 'submit', model, '--home', home, '--name', 'eve');
  expect({ code: refused.code, stdout: refused.stdout }).toEqual({
    code: 3,
    stdout: expect.stringMatching(/^not submitted, nothing is on chain\nprecheck\.tensor_shape /),
  });
  const trained = trainedModel();
  const submit = (...flags: string[]) =>
    quasar('miner', 'submit', trained, '--home', home, '--name', 'eve', '--no-copies', '--json', ...flags);
  const shown = await submit('--dry-run');
  expect(JSON.parse(shown.stdout)).toMatchObject({ ok: true, revision: null });
  const sent = await submit();
  const { revision, payload } = JSON.parse(sent.stdout);
  expect(revision).toMatch(/^[0-9a-f]{40}$/);
  const listed = await quasar('commitments', '--home', home, '--json');
  expect(listed.stdout).toContain(JSON.stringify(payload).slice(1, -1));
  const again = await submit();
  rmSync(trained, { recursive: true });
  expect(JSON.parse(again.stdout)).toMatchObject({ ok: true, revision, steps: [{ name: 'commit', state: 'skipped' }] });
});
