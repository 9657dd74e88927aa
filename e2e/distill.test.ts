/** @file `quasar distill` with the flags of its objective, from the shipped student and teacher. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { REPOSITORY } from './support/paths.ts';
import { quasar } from './support/run.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'quasar-distill-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function distill(...flags: string[]) {
  const asset = (name: string) => join(REPOSITORY, 'assets', name);
  const size = ['--steps', '1', '--rows', '1', '--tokens', '32', '--out', join(root, 'out'), '--home', root, '--json'];
  return quasar('distill', '--student', asset('base'), '--teacher', asset('teacher'), ...size, ...flags);
}

it('--hidden: states of pairs of layers are measured and learned, as heavy as asked', async () => {
  const { code, stdout, stderr } = await distill('--hidden', '2:2,5:5', '--hidden-weight', '0.5');
  expect({ code, stderr }).toMatchObject({ code: 0 });
  for (const { heldOut } of JSON.parse(stdout).evaluations) expect(heldOut.world.hidden).toBeGreaterThan(0);
  const events = readFileSync(join(root, 'out/run/events.jsonl'), 'utf8').trim().split('\n');
  const { metrics } = events.map((line) => JSON.parse(line)).find(({ type }) => type === 'step');
  expect(metrics.loss).toBeCloseTo(metrics.kl + 0.5 * metrics.hidden, 2);
  expect(readFileSync(join(root, 'out/run/run.json'), 'utf8')).toContain('2:2,5:5');
});

it.each([
  ['2', 2],
  ['2:2;5:5', 2],
  ['2:99', 1],
])('--hidden %s is refused', async (pairs, code) => {
  expect(await distill('--hidden', pairs)).toMatchObject({ code });
});
