/** @file One block of tokens on its way through a model of any family: what goes in, what comes out. */
import { QuasarError } from '@quasar/base';
import { type Device, Positions, Tensor } from '@quasar/tensor';
import type { LayerContext } from './layers/context.ts';
import type { Positional } from './positional.ts';
import type { ModelState } from './state.ts';

export interface ForwardInput {
  /** Token ids, [B · T] row-major. */
  tokens: Int32Array;
  B: number;
  T: number;
  /** From the block before; absent at the start. */
  state?: ModelState | undefined;
  /** Position of each token in its segment, for packed rows; absent: one segment per row, going on from the state. */
  positions?: Int32Array | undefined;
  /** Default: as the config says, for most families `rope`. The weights do not change with it. */
  positional?: Positional | undefined;
  /** Tokens that recurrences compute at a time, a multiple of 16; results differ by rounding. Default: what is fastest. */
  chunk?: number | undefined;
  /** Compute losses that only training needs. Default: while gradients are recorded. */
  auxLosses?: boolean | undefined;
  /** Keep only the input of each layer for the backward pass, and compute the layer again there. Default false. */
  recompute?: boolean | undefined;
  /** Give the residual stream after every layer. Default false. */
  hiddenStates?: boolean | undefined;
  /**
   * Give, of every layer with a branch beside softmax attention, both outputs. The stream goes on as if there were no branches,
   * and a branch sees it as a constant, so it learns from its own layer alone (architecture §3.12). Default false.
   */
  mimic?: boolean | undefined;
}

/** What changes how a block is computed, with the tensors of the `ModelState` before it. */
export type BlockOptions = Pick<
  ForwardInput,
  'positional' | 'chunk' | 'auxLosses' | 'recompute' | 'hiddenStates' | 'mimic'
> & {
  state?: ReadonlyMap<string, Tensor> | undefined;
  /**
   * Tokens in the caches of `state`, which have room for more (`roomyCaches`). This block's are written there in place, and
   * when a command list runs it again, after those of the run before. Default: every cache holds as many as it is long.
   */
  cached?: number | undefined;
  /** What a graft makes of the output y of a layer's attention, whose normalised input is u. */
  branch?: ((y: Tensor, u: Tensor, c: LayerContext<unknown>, layer: number) => Tensor) | undefined;
};

/** What one layer's attention gave, and what its branch would put in its place; both [B, T, D]. */
export interface MimicPair {
  layer: number;
  attention: Tensor;
  branch: Tensor;
}

/** What is kept of single layers, where it was asked for. */
export interface LayerOutputs {
  /** After layer l of loop i at i·layers + l, [B, T, D]. */
  hiddenStates?: Tensor[] | undefined;
  /** In the order of loops and layers. */
  mimic?: MimicPair[] | undefined;
}

export interface BlockOutput extends LayerOutputs {
  hidden: Tensor;
  /** Of the state after the block. */
  tensors: Map<string, Tensor>;
  aux: ForwardOutput['aux'];
}

export interface ForwardOutput extends LayerOutputs {
  /** After the last norm, [B, T, D]; `vocabularyLogits` maps rows to logits. */
  hidden: Tensor;
  state: ModelState;
  aux: {
    /** Sum of router losses, one element; null without experts, and where the family has none or they are not wanted. */
    routerLoss: Tensor | null;
    /** Sum of the losses of latent memories, one element; absent without them or when not wanted. */
    memoryLoss?: Tensor | null;
    /** Tokens per expert of each (loop, MoE layer). */
    counts: Tensor[];
  };
}

/** The inputs of a block on the device; a recorded step reads them again after `write`. */
export class Block {
  readonly ids: Tensor;
  readonly positions: Positions;
  readonly #vocabulary: number;

  /** @throws QuasarError model.token_out_of_range */
  constructor(
    config: { vocab_size: number },
    device: Device,
    { tokens, positions, B, T }: { tokens: Int32Array; positions: Int32Array; B: number; T: number },
  ) {
    checkTokens(tokens, config.vocab_size);
    this.#vocabulary = config.vocab_size;
    this.positions = new Positions(device, B, T, positions);
    this.ids = Tensor.from(device, [B, T], tokens, 'int');
  }

  /** Both [B · T]. @throws QuasarError model.token_out_of_range; ShapeError */
  write(tokens: Int32Array, positions: Int32Array): void {
    checkTokens(tokens, this.#vocabulary);
    this.ids.write(tokens);
    this.positions.write(positions);
  }

  /** What both hold on the device. */
  get tensors(): Tensor[] {
    return [this.ids, this.positions.tensor];
  }
}

function checkTokens(tokens: Int32Array, vocabulary: number): void {
  const at = tokens.findIndex((id) => id < 0 || id >= vocabulary);
  if (at < 0) return;
  throw new QuasarError(
    'model.token_out_of_range',
    `forward: token ${tokens[at]} at index ${at}, the vocabulary has ${vocabulary}`,
    { hint: 'use the tokenizer of this model' },
  );
}
