/** @file The checkpoints that ship with the repository. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import { Option } from 'commander';
import { fromCaller, REPOSITORY } from './context.ts';

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

/** What `--base` and `--teacher` name, looked at before anybody is waited for. @throws usage.unknown_model */
export function checkpointFolder(given: string): string {
  const folder = fromCaller(given);
  if (existsSync(join(folder, 'config.json'))) return folder;
  throw new QuasarError('usage.unknown_model', `"${given}" is no folder of a checkpoint: it has no config.json`, {
    hint: 'give the folder that `quasar distill --out` wrote, or one of assets/',
  });
}

/** Of its weights, and so of every submission that has to look like it. */
export function weightBytes(folder: string): number {
  const shards = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  return shards.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

/** @throws up.no_assets in a checkout without them */
export function requireAssets(): void {
  const missing = [TEACHER, BASE].find((folder) => !existsSync(join(folder, 'model.safetensors')));
  if (missing === undefined) return;
  throw new QuasarError('up.no_assets', `${missing} holds no model`, {
    hint: 'restore it with `git checkout assets`, or make it again with `node scripts/make-assets.js`',
  });
}
