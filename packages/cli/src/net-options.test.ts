import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LOCAL, UPSTREAM } from '@quasar/subnet';
import { afterAll, expect, it } from 'vitest';
import { weightBytes } from './assets.ts';
import { Home } from './home.ts';
import { hubOptions } from './net-options.ts';
import { submissionBytes } from './rules-option.ts';

const folder = mkdtempSync(join(tmpdir(), 'quasar-options-'));
afterAll(() => rmSync(folder, { recursive: true }));

const quota = (submission?: number, cacheGb?: number) =>
  hubOptions(cacheGb === undefined ? {} : { cacheGb }, new Home(folder), 'me', submission).quotaBytes;

it('a cache has room for twelve of the largest submissions, and for 20 GB; --cache-gb says otherwise', () => {
  expect([quota(), quota(submissionBytes(LOCAL)), quota(submissionBytes(UPSTREAM))]).toEqual([20e9, 20e9, 84e9]);
  expect(quota(submissionBytes(UPSTREAM), 7)).toBe(7e9);
});

it('without rules the base says how large a submission is', () => {
  writeFileSync(join(folder, 'model-00001-of-00002.safetensors'), new Uint8Array(300));
  writeFileSync(join(folder, 'model-00002-of-00002.safetensors'), new Uint8Array(200));
  writeFileSync(join(folder, 'tokenizer.json'), new Uint8Array(1000));
  expect(weightBytes(folder)).toBe(500);
});
