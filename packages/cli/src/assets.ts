/** @file The checkpoints that ship with the repository. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import { Option } from 'commander';
import { REPOSITORY } from './context.ts';

/** What every local contest measures against. */
export const TEACHER = join(REPOSITORY, 'assets/teacher');
/** What miners start from, and who reigns (uid -1) before the first king. */
export const BASE = join(REPOSITORY, 'assets/base');

/** `--base`; the help names the default as it lies in every checkout. */
export function baseOption(): Option {
  return new Option('--base <folder>', 'checkpoint of the base student').default(BASE, 'assets/base');
}

/** `--teacher`, likewise. */
export function teacherOption(): Option {
  return new Option('--teacher <folder>', 'checkpoint of the teacher').default(TEACHER, 'assets/teacher');
}

/** @throws up.no_assets in a checkout without them */
export function requireAssets(): void {
  const missing = [TEACHER, BASE].find((folder) => !existsSync(join(folder, 'model.safetensors')));
  if (missing === undefined) return;
  throw new QuasarError('up.no_assets', `${missing} holds no model`, {
    hint: 'restore it with `git checkout assets`, or make it again with `node scripts/make-assets.js`',
  });
}
