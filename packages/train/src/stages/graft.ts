/**
 * @file Grafting: Quasar branches beside the attention of a model that stays as it is bit for bit, trained on long documents.
 * What is written are the branches alone.
 */
import { resolve } from 'node:path';
import { QuasarError, Rng } from '@quasar/base';
import {
  type GraftOptions as Branches,
  disposeParameters,
  type GraftCheckpoint,
  graftOnto,
  loadBranches,
  loadCheckpoint,
  saveBranches,
  weightsDigest,
} from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { type ObjectiveSpec, openObjective } from '../objectives/spec.ts';
import { digestOfWeights } from './digest.ts';
import { LONG_SETTINGS, type LongResult, recallByDistance } from './extend.ts';
import { type LongOptions, longData } from './long-rows.ts';
import { runStage, type StageOptions, settingsOf } from './stage.ts';

export interface GraftStageOptions extends StageOptions, LongOptions {
  /** Checkpoint to graft upon, trained at `settings.T`. */
  base: string;
  /** Fresh ones, or a folder with branches upon this base to go on from. */
  branches: Branches | string;
  /** Next tokens, or what the attention beside each branch gives: a start for branches that shall learn the other then. */
  objective?: 'cross_entropy' | 'mimic' | undefined;
}

export interface GraftResult extends LongResult {
  /** `weightsDigest` of the base, whose weights are the same before and after. */
  baseDigest: string;
}

/** Fresh branches learn faster than a trained model should. */
const SETTINGS = { ...LONG_SETTINGS, learningRate: 2e-3, warmupSteps: 20 };

/**
 * Writes config and branches (BF16) without the base, which `loadCheckpoint` finds by what is recorded beside them.
 * @throws QuasarError train.lengths; checkpoint.not_empty; checkpoint.other_base; model.unsupported where a layer takes no branch; as `train`, `loadCheckpoint`
 */
export async function graft(options: GraftStageOptions): Promise<GraftResult> {
  if (resolve(options.directory) === resolve(options.base))
    throw new QuasarError('checkpoint.not_empty', `${options.base} is the base: branches would overwrite it`, {
      hint: 'write them to another folder',
    });
  const device = openDevice();
  const base = loadCheckpoint(options.base, device);
  let checkpoint: GraftCheckpoint | null = null;
  try {
    const data = await longData(base.tokenizer, settingsOf(options, SETTINGS), options);
    const { source, beside, heldOut, skipped, specs, settings } = data;
    const baseDigest = weightsDigest(options.base);
    const before = await digestOfWeights(base);
    const recallBefore = await recallByDistance(base, data, options);
    const { branches } = options;
    const grafted =
      typeof branches === 'string'
        ? loadBranches(branches, base, { base: options.base })
        : graftOnto(base, branches, new Rng(`${options.seed}/branches`));
    checkpoint = grafted;
    const objectiveSpec: ObjectiveSpec = { kind: options.objective ?? 'cross_entropy' };
    const objective = await openObjective(objectiveSpec, grafted, device);
    const save = (directory: string, _: unknown, metadata: Record<string, string>) =>
      saveBranches(directory, grafted, 'BF16', { metadata, base: { folder: options.base, sha256: baseDigest } });
    const from = await digestOfWeights(grafted);
    const result = await runStage(
      {
        ...{ name: 'graft', checkpoint: grafted, objective, objectiveSpec, from, save },
        ...{ source, beside, heldOut, skipped, specs, settings },
      },
      options,
    );
    if ((await digestOfWeights(base)) !== before) throw new Error('graft: training moved weights of the base');
    const after = await recallByDistance(grafted, data, options);
    return { ...result, recall: { before: recallBefore, after }, baseDigest };
  } finally {
    disposeParameters(checkpoint?.parameters ?? base.parameters);
  }
}
