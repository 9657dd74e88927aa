/** @file Stage one: a fresh model of a named size on any data. */
import { QuasarError, Rng } from '@quasar/base';
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
import { recipe } from '../recipe.ts';
import { corpusSources } from './corpus.ts';
import { runStage, type StageOptions, type StageResult, settingsOf } from './stage.ts';

export interface PretrainOptions extends StageOptions {
  /** A name, or the depth of a `recipe`, whose settings then hold where `settings` says nothing. */
  size: SizeName | { depth: number };
  tokenizer: Tokenizer;
  /** `F32` to go on training from, `BF16` to publish. */
  dtype?: 'F32' | 'BF16' | undefined;
}

/** Writes config, tokenizer and weights into `directory`. @throws QuasarError train.vocabulary; as `train` */
export async function pretrain(options: PretrainOptions): Promise<StageResult> {
  const { size, tokenizer, seed, dtype = 'BF16' } = options;
  const { bos: begin, end } = tokenizer.specials;
  const { config: plain, settings: own } =
    typeof size === 'object'
      ? recipe({ ...size, vocabSize: tokenizer.vocabSize })
      : { config: SIZES[size], settings: {} };
  const config = withTokens<ModelConfig>(plain, { begin, end });
  if (tokenizer.vocabSize > config.vocab_size) {
    throw new QuasarError(
      'train.vocabulary',
      `pretrain ${size}: tokenizer has ${tokenizer.vocabSize} tokens, the model ${config.vocab_size}`,
      { hint: 'train a smaller tokenizer' },
    );
  }
  const settings = settingsOf(options, own);
  const { train: source, heldOut, skipped, specs } = await corpusSources(tokenizer, options, settings.T);
  const parameters = initialParameters(config, openDevice(), new Rng(`${seed}/init`), tokenizer);
  const checkpoint: Checkpoint = { config, parameters, tokenizer };
  try {
    return await runStage(
      {
        name: 'pretrain',
        ...{ checkpoint, source, heldOut, skipped, specs, settings },
        objective: crossEntropyObjective(),
        objectiveSpec: { kind: 'cross_entropy' },
        save: (directory, trained, metadata) => saveCheckpoint(directory, trained, dtype, metadata),
      },
      options,
    );
  } finally {
    disposeParameters(parameters);
  }
}
