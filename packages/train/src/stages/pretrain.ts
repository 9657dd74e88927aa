/** @file Stage one: a fresh model of a named size on the world, the user's text, or both. */
import { join } from 'node:path';
import { QuasarError, Rng, writeFileAtomic } from '@quasar/base';
import {
  type Checkpoint,
  disposeParameters,
  initialParameters,
  type ModelConfig,
  SIZES,
  type SizeName,
  saveCheckpoint,
  type Tokenizer,
  withTokens,
} from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { crossEntropyObjective } from '../objectives/objective.ts';
import { clearResume } from '../resume.ts';
import { type Evaluation, type StepReport, TRAIN_DEFAULTS, type TrainSettings, train } from '../trainer.ts';
import { corpusSources } from './corpus.ts';

export interface PretrainOptions {
  size: SizeName;
  tokenizer: Tokenizer;
  /** Receives the checkpoint and, while running, the resume point. */
  directory: string;
  steps: number;
  seed: string;
  /** The user's text beside the world. */
  dataPath?: string | undefined;
  /** `F32` to go on training from, `BF16` to publish. */
  dtype?: 'F32' | 'BF16' | undefined;
  settings?: Partial<TrainSettings> | undefined;
  onStep?: ((report: StepReport) => void) | undefined;
  onEvaluation?: ((evaluation: Evaluation) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Writes config, tokenizer, weights and `curve.json` (held-out loss over the run) into `directory`.
 * @throws QuasarError train.vocabulary; as `train`
 */
export async function pretrain(options: PretrainOptions): Promise<{ evaluations: Evaluation[] }> {
  const { size, tokenizer, directory, steps, seed } = options;
  const { bos: begin, end } = tokenizer.specials;
  const config = withTokens<ModelConfig>(SIZES[size], { begin, end });
  if (tokenizer.vocabSize > config.vocab_size) {
    throw new QuasarError(
      'train.vocabulary',
      `pretrain ${size}: tokenizer has ${tokenizer.vocabSize} tokens, the model ${config.vocab_size}`,
      { hint: 'train a smaller tokenizer' },
    );
  }
  const settings: TrainSettings = { ...TRAIN_DEFAULTS, steps, seed, ...options.settings };
  const sources = corpusSources(tokenizer, options.dataPath, settings.T);
  const checkpoint: Checkpoint = {
    config,
    parameters: initialParameters(config, openDevice(), new Rng(`${seed}/init`)),
    tokenizer,
  };
  try {
    const result = await train({
      checkpoint,
      objective: crossEntropyObjective(),
      source: sources.train,
      heldOut: sources.heldOut,
      settings,
      directory,
      onStep: options.onStep,
      onEvaluation: options.onEvaluation,
      signal: options.signal,
    });
    await saveCheckpoint(directory, checkpoint, options.dtype ?? 'BF16', {
      seed,
      steps: String(steps),
      source: sources.train.name,
    });
    writeFileAtomic(join(directory, 'curve.json'), `${JSON.stringify(result.evaluations, null, 1)}\n`);
    clearResume(directory);
    return result;
  } finally {
    disposeParameters(checkpoint.parameters);
  }
}
