/**
 * @file DroPE (Gelberg et al. 2025, arXiv 2512.12167): a model that was trained with rotary positions goes on without them. All
 * rotations are dropped at once, and training at the trained length recalibrates what relied on them; the order of tokens is
 * then known from recurrence and short convolutions alone, at any length.
 */
import { QuasarError } from '@quasar/base';
import { type Checkpoint, disposeParameters, loadCheckpoint, type ModelConfig } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { heldOutLosses } from '../held-out.ts';
import { crossEntropyObjective } from '../objectives/objective.ts';
import type { Evaluation } from '../trainer.ts';
import { corpusSources } from './corpus.ts';
import { digestOfWeights } from './digest.ts';
import { runStage, type StageOptions, type StageResult, settingsOf } from './stage.ts';

export interface DropeOptions extends StageOptions {
  /** Checkpoint with positions. */
  model: string;
}

export interface DropeResult extends StageResult {
  /** Held-out losses of the model as it came, with its positions; the first of `evaluations` is right after the drop. */
  before: Evaluation['heldOut'];
}

/** Short: a fresh optimizer at a trained point needs a warm-up, and then all of the run brings the loss down. */
const SETTINGS = { warmupSteps: 10, decayShare: 0.8 };

/**
 * Writes a checkpoint (BF16) whose config says that it knows no positions. `settings.T` is the length that the model was
 * trained at. @throws QuasarError train.no_positions; as `train`, `loadCheckpoint`
 */
export async function drope(options: DropeOptions): Promise<DropeResult> {
  const given = loadCheckpoint(options.model, openDevice());
  try {
    const checkpoint: Checkpoint = { ...given, config: withoutPositions(given.config) };
    const settings = settingsOf(options, SETTINGS);
    const { train: source, heldOut, skipped, specs } = await corpusSources(given.tokenizer, options, settings.T);
    const objective = crossEntropyObjective();
    const from = await digestOfWeights(given);
    const before = await heldOutLosses({ checkpoint: given, objective }, heldOut, settings);
    const objectiveSpec = { kind: 'cross_entropy' } as const;
    const stage = {
      name: 'drope',
      checkpoint,
      objective,
      objectiveSpec,
      source,
      heldOut,
      skipped,
      specs,
      settings,
      from,
    };
    const result = await runStage(stage, options);
    return { ...result, before };
  } finally {
    disposeParameters(given.parameters);
  }
}

/** @throws QuasarError train.no_positions */
function withoutPositions(config: ModelConfig): ModelConfig {
  const refuse = (what: string, hint: string) => new QuasarError('train.no_positions', `drope: ${what}`, { hint });
  switch (config.model_type) {
    case 'quasar':
      if (config.positional !== 'nope') return { ...config, positional: 'nope' };
      break;
    case 'quasar_long':
      if (!config.use_nope || config.long_context_mode !== 'nope')
        return { ...config, use_nope: true, long_context_mode: 'nope' };
      break;
    default:
      throw refuse(`the config of a ${config.model_type} model cannot say that it has no positions`, 'graft upon it');
  }
  throw refuse('the model has no positions already', 'go on with `quasar extend`');
}
