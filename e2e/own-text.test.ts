/** @file A miner that trains on the user's own text: the held-out loss on that text falls, and the student is submitted. */
import { join } from 'node:path';
import { expect, inject, it } from 'vitest';
import type { Evaluation } from '../packages/train/src/index.ts';
import { runningNet } from './support/net.ts';
import { REPOSITORY } from './support/paths.ts';
import { quasar } from './support/run.ts';

const home = inject('sharedHome');

it('quasar miner run --data', { timeout: 900_000 }, async () => {
  await runningNet(home);
  const text = join(REPOSITORY, 'docs');
  const flags = ['--name', 'reader', '--steps', '16', '--data', text];
  const { code, stdout, stderr } = await quasar('miner', 'run', '--home', home, ...flags, '--json');
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const result = JSON.parse(stdout.trim().split('\n').at(-1) as string);
  expect(result.revision).toMatch(/^[0-9a-f]{40}$/);
  const losses = (result.training as Evaluation[]).map(({ step, heldOut }) => ({ step, loss: heldOut.text?.ce }));
  expect(losses[0]?.step).toBe(0);
  expect(losses.at(-1)?.step).toBe(16);
  expect(losses.at(-1)?.loss).toBeLessThan(losses[0]?.loss as number);
});
