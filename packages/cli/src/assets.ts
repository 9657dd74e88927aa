/** @file The checkpoints that ship with the repository. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import { REPOSITORY } from './context.ts';

/** What every local contest measures against. */
export const TEACHER = join(REPOSITORY, 'assets/teacher');
/** What miners start from, and who reigns (uid -1) before the first king. */
export const BASE = join(REPOSITORY, 'assets/base');

/** @throws up.no_assets in a checkout without them */
export function requireAssets(): void {
  const missing = [TEACHER, BASE].find((folder) => !existsSync(join(folder, 'model.safetensors')));
  if (missing === undefined) return;
  throw new QuasarError('up.no_assets', `${missing} holds no model`, {
    hint: 'restore it with `git checkout assets`, or make it again with `node scripts/make-assets.js`',
  });
}
