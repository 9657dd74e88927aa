/** @file What a batch is trained to do: a loss from hidden states, built from rows that count. */
import {
  type Checkpoint,
  forward,
  type ModelState,
  type Parameters,
  type Positional,
  type TensorSpec,
  vocabularyOperands,
} from '@quasar/model';
import { headLoss, type Tensor } from '@quasar/tensor';
import type { Batch } from '../data/batch.ts';
import { countedRows, targetsOf, weightedMean, withAux } from './rows.ts';

/** One block of an optimizer step: all columns of a batch, or some of them. */
export interface ObjectiveInput {
  batch: Batch;
  /** After the block before, whose gradients ended there. */
  state?: ModelState | undefined;
  /** As of `forward`: less memory, the same bits. */
  recompute?: boolean | undefined;
  positional?: Positional | undefined;
  /** Weight of all predictions of the step: what weighted sums are divided by. */
  weightTotal: number;
  /** This block's share of the tokens of the step: the factor on losses of routers and latent memories. */
  share: number;
}

export interface ObjectiveResult {
  /** What is differentiated: data terms plus losses of routers and latent memories. */
  loss: Tensor;
  /** This block's part of weighted means in nats per token: parts of a step add up. */
  metrics: Record<string, Tensor>;
  /** Tokens per expert of each (loop, mixture layer). */
  counts: Tensor[];
  state: ModelState;
}

export interface Objective {
  /** With the options that change it: a run resumes only with an objective of the same name. */
  name: string;
  /** Digest of what it reads besides the batch, such as a teacher's weights. */
  fingerprint?: string | undefined;
  /** Trained beside the model and discarded with the run. */
  parameters?: { tensors: Parameters; table: ReadonlyMap<string, TensorSpec> } | undefined;
  /** Turns a batch into the one that is trained on. A function of the student's weights, the batch and the seed. */
  prepare?(student: Checkpoint, batch: Batch, seed: string): Promise<Batch>;
  evaluate(student: Pick<Checkpoint, 'config' | 'parameters'>, input: ObjectiveInput): ObjectiveResult;
  dispose?(): void;
}

/** Next-token cross-entropy. */
export function crossEntropyObjective(): Objective {
  return {
    name: 'cross_entropy',
    evaluate({ config, parameters }, input) {
      const { batch } = input;
      const out = forward(config, parameters, { ...batch, ...input });
      const counted = countedRows(batch, config.vocab_size);
      const { rows, head } = vocabularyOperands(parameters, out.hidden, counted.index);
      const { crossEntropy } = headLoss(rows, head, targetsOf(counted, batch, rows), undefined);
      const ce = weightedMean(crossEntropy, counted.weights, input);
      return { loss: withAux(ce, out, input), metrics: { ce }, counts: out.aux.counts, state: out.state };
    },
  };
}
