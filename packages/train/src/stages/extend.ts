/**
 * @file Longer context (architecture §6.2): training goes on with long rows beside short ones. States are carried through a long
 * row block by block and gradients end between blocks, so that memory does not grow with the length.
 */
import { type Checkpoint, disposeParameters, loadCheckpoint, type ModelConfig } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { crossEntropyObjective } from '../objectives/objective.ts';
import { type RecallAccuracy, recallAccuracy } from '../recall-accuracy.ts';
import { digestOfWeights } from './digest.ts';
import { type LongData, type LongOptions, longData } from './long-rows.ts';
import { runStage, type StageOptions, type StageResult, settingsOf } from './stage.ts';

export interface ExtendOptions extends StageOptions, LongOptions {
  /** Checkpoint to go on from, trained at `settings.T`. */
  model: string;
}

export interface LongResult extends StageResult {
  /** Held-out needles, of the model as it came and of what became of it. */
  recall: { before: RecallAccuracy[]; after: RecallAccuracy[] };
}

/** Of a model that is trained already. */
export const LONG_SETTINGS = { learningRate: 5e-4, warmupSteps: 10, decayShare: 0.8 };

/**
 * Writes a checkpoint (BF16) whose config has the last of the lengths.
 * @throws QuasarError train.lengths; as `train`, `loadCheckpoint`
 */
export async function extend(options: ExtendOptions): Promise<LongResult> {
  const given = loadCheckpoint(options.model, openDevice());
  try {
    const config = withLength(given.config, options.lengths.at(-1) ?? 0);
    const checkpoint: Checkpoint = { ...given, config };
    const data = await longData(given.tokenizer, settingsOf(options, LONG_SETTINGS), options);
    const { source, beside, heldOut, skipped, specs, settings } = data;
    const measure = () => recallByDistance(checkpoint, data, options);
    const from = await digestOfWeights(checkpoint);
    const before = await measure();
    const objective = crossEntropyObjective();
    const objectiveSpec = { kind: 'cross_entropy' } as const;
    const read = { source, beside, heldOut, skipped, specs };
    const stage = { name: 'extend', checkpoint, objective, objectiveSpec, ...read, settings, from };
    const result = await runStage(stage, options);
    return { ...result, recall: { before, after: await measure() } };
  } finally {
    disposeParameters(given.parameters);
  }
}

/** At the length of short rows and at those of the long documents. */
export function recallByDistance(
  checkpoint: Checkpoint,
  { filler, settings }: Pick<LongData, 'filler' | 'settings'>,
  { lengths, recallDocuments: documents, signal }: Pick<ExtendOptions, 'lengths' | 'recallDocuments' | 'signal'>,
): Promise<RecallAccuracy[]> {
  return recallAccuracy(checkpoint, { distances: [settings.T, ...lengths], documents, filler, signal });
}

/** The config with contexts of at least so many tokens. */
function withLength(config: ModelConfig, tokens: number): ModelConfig {
  switch (config.model_type) {
    case 'quasar':
      return { ...config, max_seq_len: Math.max(config.max_seq_len, tokens) };
    case 'quasar_long': {
      const most = Math.max(config.max_position_embeddings, tokens);
      return { ...config, max_position_embeddings: most, max_seq_length: most, max_sequence_length: most };
    }
    case 'quasar_graft':
      return { ...config, base: withLength(config.base, tokens) as typeof config.base };
    default:
      return { ...config, max_position_embeddings: Math.max(config.max_position_embeddings, tokens) };
  }
}
