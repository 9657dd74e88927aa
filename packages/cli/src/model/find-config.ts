/** @file The config that a name on the command line stands for: a size we ship, a config.json, or a folder that holds one. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { formatIssues, QuasarError } from '@quasar/base';
import type { ModelConfig } from '@quasar/model';
import { fromCaller } from '../context.ts';

/** @throws QuasarError usage.unknown_model, checkpoint.invalid */
export async function findConfig(name: string): Promise<ModelConfig> {
  const { readConfigFile, SIZES } = await import('@quasar/model');
  if (Object.hasOwn(SIZES, name)) return SIZES[name as keyof typeof SIZES];
  const path = fromCaller(name);
  if (!existsSync(path)) {
    throw new QuasarError('usage.unknown_model', `no size, file or folder is named "${name}"`, {
      hint: `sizes are ${Object.keys(SIZES).join(', ')}`,
    });
  }
  const config = readConfigFile(statSync(path).isDirectory() ? join(path, 'config.json') : path);
  if (config.ok) return config.value;
  throw new QuasarError('checkpoint.invalid', formatIssues(config.issues), { hint: 'give the folder of a checkpoint' });
}
