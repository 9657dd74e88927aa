/**
 * @file Grafting Quasar attention upon a model that stays as it is: a fresh graft, and its branches as a checkpoint of their
 * own, a small part of the size of the base.
 */
import { join } from 'node:path';
import { QuasarError, type Rng, writeFileAtomic } from '@quasar/base';
import { type Checkpoint, type CheckpointOptions, streamedTensors } from './checkpoint/checkpoint.ts';
import { checkConfig, findBase, type RecordedBase, recordBase } from './checkpoint/graft-base.ts';
import { loadTensors } from './checkpoint/load-tensors.ts';
import { readConfig } from './checkpoint/read-config.ts';
import { CHECKPOINT_FILES, orThrow, WeightFiles } from './checkpoint/weight-files.ts';
import { type WriteOptions, writeWeights } from './checkpoint/write-weights.ts';
import type { BaseConfig, GraftConfig } from './families/graft/config.ts';
import { branchTensors } from './families/graft/tensors.ts';
import { drawParameters } from './parameters.ts';

export type GraftOptions = Pick<GraftConfig, 'layers' | 'heads' | 'head_dim'> &
  Partial<Pick<GraftConfig, 'conv_size' | 'gate_init'>>;

/** Of Quasar-Preview: σ(γ) = 0.7. */
const GATE_INIT = 0.8473;

export interface GraftCheckpoint extends Checkpoint {
  config: GraftConfig;
}

/** A base with fresh branches, which shares the tensors of the base: free the parameters of either, once. */
export function graftOnto(base: Checkpoint, options: GraftOptions, rng: Rng): GraftCheckpoint {
  const config: GraftConfig = {
    model_type: 'quasar_graft',
    vocab_size: base.config.vocab_size,
    base: baseConfig(base),
    conv_size: 0,
    gate_init: GATE_INIT,
    ...options,
  };
  const [any] = base.parameters.values();
  if (!any) throw new QuasarError('checkpoint.missing_tensor', 'graft: the base has no parameters');
  const branches = drawParameters(branchTensors(config), any.device, rng);
  return { config, parameters: new Map([...base.parameters, ...branches]), tokenizer: base.tokenizer };
}

function baseConfig({ config }: Checkpoint): BaseConfig {
  if (config.model_type !== 'quasar_graft') return config;
  throw new QuasarError('model.unsupported', 'graft: the base is a graft', { hint: 'graft upon the base of it' });
}

export interface SaveBranchesOptions extends Omit<WriteOptions, 'resume'> {
  /** Where the base is, and its `weightsDigest`: recorded, so that `loadCheckpoint` of the folder gives the whole graft. */
  base?: RecordedBase | undefined;
}

/** Config and branches of a graft, without its base. `dtype` F32 keeps training exact. */
export async function saveBranches(
  directory: string,
  { config, parameters }: GraftCheckpoint,
  dtype: 'F32' | 'BF16',
  { base, ...options }: SaveBranchesOptions = {},
): Promise<void> {
  writeFileAtomic(join(directory, CHECKPOINT_FILES.config), `${JSON.stringify(config, null, 2)}\n`);
  if (base) recordBase(directory, base);
  await writeWeights(directory, streamedTensors(branchTensors(config), parameters, dtype), options);
}

/**
 * A graft from its branches and its base, whose tensors it shares. With `options.base`, the folder of that base, its weights
 * must be those that the branches were trained upon.
 * @throws QuasarError as `findBase`, `readConfig` and `loadTensors`
 */
export function loadBranches(directory: string, base: Checkpoint, options: CheckpointOptions = {}): GraftCheckpoint {
  const config = orThrow(directory, readConfig(directory));
  if (config.model_type !== 'quasar_graft') {
    throw new QuasarError('checkpoint.other_base', `${directory} is no graft`, { hint: 'give a folder of branches' });
  }
  if (options.base === undefined) checkConfig(directory, config, base.config);
  else findBase(directory, config, options.base);
  const [any] = base.parameters.values();
  if (!any) throw new QuasarError('checkpoint.missing_tensor', 'graft: the base has no parameters');
  const files = WeightFiles.open(directory);
  try {
    const branches = loadTensors(files, branchTensors(config), null, any.device, options);
    return { config, parameters: new Map([...base.parameters, ...branches]), tokenizer: base.tokenizer };
  } finally {
    files.close();
  }
}
