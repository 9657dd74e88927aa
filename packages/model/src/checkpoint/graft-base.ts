/**
 * @file The base of a graft whose folder holds its branches alone. `base.json` beside them says where it is and which weights
 * it has; folders written before there was one need to be told.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { QuasarError, writeFileAtomic } from '@quasar/base';
import type { BaseConfig, GraftConfig } from '../families/graft/config.ts';
import type { ModelConfig } from '../families/index.ts';
import { readConfig } from './read-config.ts';
import { CHECKPOINT_FILES, orThrow, WeightFiles } from './weight-files.ts';
import { weightsDigest } from './weights-digest.ts';

const BASE_FILE = 'base.json';

export interface RecordedBase {
  /** Of the base, seen from the folder of the branches. */
  folder: string;
  /** `weightsDigest` of the base that the branches were trained upon. */
  sha256: string;
}

/** @param base where it is now. The folder of the branches must be there. */
export function recordBase(directory: string, base: RecordedBase): void {
  const folder = relative(realpathSync(directory), realpathSync(base.folder));
  writeFileAtomic(join(directory, BASE_FILE), `${JSON.stringify({ ...base, folder }, null, 2)}\n`);
}

/** What the branches in a folder say about their base; null: nothing. @throws QuasarError checkpoint.invalid */
export function readRecordedBase(directory: string): RecordedBase | null {
  const path = join(directory, BASE_FILE);
  if (!existsSync(path)) return null;
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch {}
  const { folder, sha256 } = (json ?? {}) as Partial<RecordedBase>;
  if (typeof folder === 'string' && typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256))
    return { folder, sha256 };
  const message = 'expected {"folder": "...", "sha256": "64 hex digits"}';
  return orThrow(directory, { ok: false, issues: [{ code: 'checkpoint.base_record', path: BASE_FILE, message }] });
}

/**
 * The folder of the base that the branches in `directory` were trained upon; null: the folder holds a whole model.
 * @param given in the place of the folder that they name
 * @throws QuasarError checkpoint.no_base; checkpoint.other_base; checkpoint.invalid; as `WeightFiles.open`
 */
export function findBase(directory: string, config: ModelConfig, given?: string): string | null {
  if (config.model_type !== 'quasar_graft' || !holdsBranchesAlone(directory)) {
    if (given === undefined) return null;
    throw new QuasarError('checkpoint.other_base', `${directory} holds a whole model: it stands on no other`, {
      hint: 'leave the base out',
    });
  }
  const recorded = readRecordedBase(directory);
  const folder = given ?? (recorded && resolve(realpathSync(directory), recorded.folder));
  if (folder === null)
    throw new QuasarError('checkpoint.no_base', `${directory} holds branches of a graft and does not say upon what`, {
      hint: 'name the model that they were trained upon: --base FOLDER',
    });
  if (!existsSync(join(folder, CHECKPOINT_FILES.config)))
    throw new QuasarError(
      'checkpoint.no_base',
      `the branches in ${directory} stand on ${folder}: no checkpoint is there`,
      {
        hint: `name the model that they were trained upon: --base FOLDER${given === undefined ? `, or correct ${BASE_FILE}` : ''}`,
      },
    );
  checkConfig(directory, config, orThrow(folder, readConfig(folder)));
  const sha256 = recorded ? weightsDigest(folder) : null;
  if (recorded && sha256 !== recorded.sha256)
    throw otherBase(
      directory,
      `${folder} has weights with sha256 ${sha256}, they were trained upon ${recorded.sha256}`,
    );
  return folder;
}

/** @throws QuasarError checkpoint.other_base */
export function checkConfig(directory: string, graft: GraftConfig, base: ModelConfig): asserts base is BaseConfig {
  if (isDeepStrictEqual(graft.base, base)) return;
  const [expected, got] = [graft.base, base] as unknown as Record<string, unknown>[];
  const fields = Object.keys({ ...expected, ...got }).filter((key) => !isDeepStrictEqual(expected?.[key], got?.[key]));
  throw otherBase(directory, `its config differs in ${fields.slice(0, 5).join(', ')}`);
}

function otherBase(directory: string, why: string): QuasarError {
  return new QuasarError('checkpoint.other_base', `the branches in ${directory} belong to another base: ${why}`, {
    hint: 'give the model that they were trained upon, as it was then',
  });
}

function holdsBranchesAlone(path: string): boolean {
  const files = WeightFiles.open(path);
  try {
    return [...files.tensors.keys()].every((name) => name.startsWith('graft.'));
  } finally {
    files.close();
  }
}
