/**
 * @file The Quasar-3B skeleton: embed norm, then layers of attention and feed-forward with norms before and after
 * (sandwich), each scaled into the residual stream; then a norm and an untied head. Architecture §2.1.
 *   P = h = norm(E[ids]);  per loop, per layer:  [h += σ(γ) P];  h += ρ norm(attention(norm h));  h += ρ norm(ffn(norm h))
 * One function for training, prefill of any block size and decoding. Latent memory comes with a later cut.
 */
import { QuasarError } from '@quasar/base';
import {
  add,
  axpby,
  checkpoint,
  type Device,
  embedding,
  gatherRows,
  linear,
  Positions,
  recording,
  reshape,
  rmsNorm,
  scope,
  Tensor,
} from '@quasar/tensor';
import { isMoe, layerType, type QuasarConfig } from '../config.ts';
import { injectAnchor } from '../layers/anchor.ts';
import type { LayerContext } from '../layers/context.ts';
import { feedForward } from '../layers/feed-forward.ts';
import { gatedLinearAttention } from '../layers/gated-linear-attention.ts';
import { mixture } from '../layers/mixture.ts';
import { quasarAttention } from '../layers/quasar-attention.ts';
import type { Parameters } from '../parameters.ts';
import { checkRows, ModelState } from '../state.ts';

export interface ForwardInput {
  /** Token ids, [B · T] row-major. */
  tokens: Int32Array;
  B: number;
  T: number;
  /** From the block before; absent at the start. */
  state?: ModelState | undefined;
  /** Position of each token in its segment, for packed rows; absent: one segment per row, going on from the state. */
  positions?: Int32Array | undefined;
  /** `none` drops the rotation (DroPE). Default `rope`. */
  positional?: 'rope' | 'none' | undefined;
  /** Keep only the input of each layer for the backward pass, and compute the layer again there. Default false. */
  recompute?: boolean | undefined;
}

export interface ForwardOutput {
  /** After the last norm, [B, T, D]; `vocabularyLogits` maps rows to logits. */
  hidden: Tensor;
  state: ModelState;
  aux: {
    /** Sum of router losses, one element; null without experts. */
    routerLoss: Tensor | null;
    /** Tokens per expert of each (loop, MoE layer). */
    counts: Tensor[];
  };
}

/** @throws QuasarError model.token_out_of_range, model.wrong_block, model.unsupported, checkpoint.missing_tensor */
export function forward(config: QuasarConfig, parameters: Parameters, input: ForwardInput): ForwardOutput {
  const { B, T, state } = input;
  checkBlock(input);
  const lengths = state?.lengths ?? new Int32Array(B);
  const positions = input.positions ?? continuing(lengths, B, T);
  const block = new Block(config, weight(parameters, 'model.norm.weight').device, { ...input, positions });
  const { hidden, tensors, aux } = forwardBlock(config, parameters, block, {
    ...input,
    state: state?.tensors,
  });
  const read = Int32Array.from(lengths, (_, b) => (positions[b * T + T - 1] as number) + 1);
  return { hidden, state: new ModelState(read, tensors), aux };
}

/** The inputs of a block on the device; a recorded step reads them again after `write`. */
export class Block {
  readonly ids: Tensor;
  readonly positions: Positions;
  readonly #vocabulary: number;

  /** @throws QuasarError model.token_out_of_range */
  constructor(
    config: QuasarConfig,
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

/**
 * `forward` with everything on the device: what it computes depends on tensors alone, so its kernels can be recorded.
 * @param options.state tensors of the `ModelState` before. @returns those of the one after
 * @throws QuasarError model.unsupported, checkpoint.missing_tensor
 */
export function forwardBlock(
  config: QuasarConfig,
  parameters: Parameters,
  block: Block,
  options: Pick<ForwardInput, 'positional' | 'recompute'> & { state?: ReadonlyMap<string, Tensor> | undefined } = {},
): { hidden: Tensor; tensors: Map<string, Tensor>; aux: ForwardOutput['aux'] } {
  const { ids, positions } = block;
  const { state, positional, recompute = false } = options;
  if (config.memory_slots > 0) {
    throw new QuasarError('model.unsupported', 'forward: latent memory is not implemented yet', {
      hint: 'use a config with memory_slots 0 (nano, tiny, mini, small)',
    });
  }
  const rotation = positional === 'none' ? null : { theta: config.rope_theta, rotary: config.head_dim };
  const { rms_norm_eps: eps } = config;
  const next = new Map<string, Tensor>();
  const counts: Tensor[] = [];
  let routerLoss: Tensor | null = null;
  const anchor = rmsNorm(
    embedding(weight(parameters, 'model.embed_tokens.weight'), ids),
    weight(parameters, 'model.embed_norm.weight'),
    eps,
  );
  // Without a backward pass to come, the temporaries of a layer are freed with it.
  const isRecording = recording([...parameters.values()]);
  const perLayer = <T>(body: () => T): T => (!isRecording ? scope(body) : recompute ? checkpoint(body) : body());
  let h = anchor;
  for (let loop = 0; loop < config.num_loops; loop++) {
    for (let layer = 0; layer < config.n_layers; layer++) {
      const key = (name: string) => `${loop}.${layer}.${name}`;
      const before = h;
      const out = perLayer(() => {
        const saved = new Map<string, Tensor>();
        const c: LayerContext = {
          config,
          positions,
          rotation,
          weight: (name) => weight(parameters, `model.layers.${layer}.${name}`),
          load: (name) => state?.get(key(name)) ?? null,
          save: (name, tensor) => saved.set(key(name), tensor),
        };
        const bias = isMoe(config, layer) ? selectionBias(config, parameters, layer) : null;
        return { ...runLayer(before, anchor, layerType(config, layer), bias, c), saved };
      });
      h = out.h;
      for (const [name, tensor] of out.saved) next.set(name, tensor);
      if (!out.routed) continue;
      counts.push(out.routed.counts);
      routerLoss = routerLoss ? add(routerLoss, out.routed.loss) : out.routed.loss;
    }
  }
  const hidden = rmsNorm(h, weight(parameters, 'model.norm.weight'), eps);
  return { hidden, tensors: next, aux: { routerLoss, counts } };
}

interface LayerOutput {
  h: Tensor;
  /** Of a mixture layer. */
  routed: { loss: Tensor; counts: Tensor } | null;
}

/** @param bias SMEBU bias of a mixture layer; null: a dense layer. */
function runLayer(
  input: Tensor,
  anchor: Tensor,
  type: 'quasar' | 'gla',
  bias: Tensor | null,
  c: LayerContext,
): LayerOutput {
  const { rms_norm_eps: eps, residual_scale: rho, use_looped_injection: isAnchored } = c.config;
  const norm = (x: Tensor, name: string) => rmsNorm(x, c.weight(`${name}.weight`), eps);
  let h = isAnchored ? injectAnchor(input, anchor, c.weight('injection_gate')) : input;
  const u = norm(h, 'ln1');
  const a = type === 'quasar' ? quasarAttention(u, c) : gatedLinearAttention(u, c);
  h = axpby(1, h, rho, norm(a, 'ln1_out'));
  const w = norm(h, 'ln2');
  const routed = bias ? mixture(w, bias, c) : null;
  const f = routed ? routed.y : feedForward(w, c, 'ffn');
  h = axpby(1, h, rho, norm(f, 'ln2_out'));
  return { h, routed: routed && { loss: routed.loss, counts: routed.counts } };
}

function selectionBias(config: QuasarConfig, parameters: Parameters, layer: number): Tensor {
  const all = weight(parameters, 'model.all_moe_bias');
  return gatherRows(all, Tensor.from(all.device, [1], [layer - config.dense_input_layers], 'int'));
}

/**
 * What logits are made of: the given rows of hidden [B, T, D] (row index b·T + t; all when absent), [M, D], and the head
 * [V, D]. @throws QuasarError model.row_out_of_range
 */
export function vocabularyOperands(
  parameters: Parameters,
  hidden: Tensor,
  rows?: Int32Array,
): { rows: Tensor; head: Tensor } {
  const D = hidden.dim(-1);
  const flat = reshape(hidden, [hidden.size / D, D]); // [B, T, D] -> [B·T, D]
  if (rows) checkRows('vocabularyOperands', rows, flat.dim(0));
  const chosen = rows ? gatherRows(flat, Tensor.from(hidden.device, [rows.length], rows, 'int')) : flat;
  return { rows: chosen, head: weight(parameters, 'lm_head.weight') };
}

/**
 * Logits [M, V] of rows as in `vocabularyOperands`. Where a loss or the best few are wanted, `headLoss` and `headTopK` make
 * them without the logits. @throws QuasarError model.row_out_of_range
 */
export function vocabularyLogits(parameters: Parameters, hidden: Tensor, rows?: Int32Array): Tensor {
  const operands = vocabularyOperands(parameters, hidden, rows);
  return linear(operands.rows, operands.head);
}

function weight(parameters: Parameters, name: string): Tensor {
  const tensor = parameters.get(name);
  if (!tensor) throw new QuasarError('checkpoint.missing_tensor', `forward: parameter ${name} is missing`);
  return tensor;
}

function continuing(lengths: Int32Array, B: number, T: number): Int32Array {
  const positions = new Int32Array(B * T);
  for (let b = 0; b < B; b++) for (let t = 0; t < T; t++) positions[b * T + t] = (lengths[b] as number) + t;
  return positions;
}

function checkBlock({ tokens, B, T, positions, state }: ForwardInput): void {
  const refuse = (what: string, hint: string) =>
    new QuasarError('model.wrong_block', `forward: ${what} for a block of ${B} rows of ${T}`, { hint });
  if (tokens.length !== B * T || tokens.length === 0)
    throw refuse(`${tokens.length} tokens`, 'give at least one token per row');
  if (positions && positions.length !== B * T)
    throw refuse(`${positions.length} positions`, 'give one position per token');
  if (state && state.batch !== B) throw refuse(`a state of ${state.batch} rows`, 'select the rows of the state first');
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
