/** @file Reads a config.json. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Result } from '@quasar/base';
import { type ModelConfig, parseConfig } from '../families/index.ts';
import { CHECKPOINT_FILES, fileError } from './weight-files.ts';

/** The config of a checkpoint directory, or every issue of its config.json. */
export function readConfig(directory: string): Result<ModelConfig> {
  return readConfigFile(join(directory, CHECKPOINT_FILES.config));
}

/** As `readConfig`, of a file with any name. */
export function readConfigFile(path: string): Result<ModelConfig> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const { code, message } = fileError(path, cause);
    return { ok: false, issues: [{ code, path, message }] };
  }
  try {
    return parseConfig(JSON.parse(text));
  } catch {
    return { ok: false, issues: [{ code: 'config.not_json', path, message: 'config.json is not JSON' }] };
  }
}
