/**
 * @file The Quasar-3B skeleton: embed norm, then layers of attention and feed-forward with norms before and after
 * (sandwich), each scaled into the residual stream; then a norm and an untied head. Architecture §2.1.
 *   P = h = norm(E[ids]);  per loop, per layer:  h += ρ norm(attention(norm h));  h += ρ norm(ffn(norm h))
 * One function for training, prefill of any block size and decoding. Latent memory comes with a later cut.
 */
import { QuasarError } from '@quasar/base';
import { add, axpby, embedding, gatherRows, linear, Positions, reshape, rmsNorm, Tensor } from '@quasar/tensor';
import { isMoe, layerType, type QuasarConfig } from '../config.ts';
import type { LayerContext } from '../layers/context.ts';
import { feedForward } from '../layers/feed-forward.ts';
import { gatedLinearAttention } from '../layers/gated-linear-attention.ts';
import { mixture } from '../layers/mixture.ts';
import { quasarAttention } from '../layers/quasar-attention.ts';
import type { Parameters } from '../parameters.ts';
import { ModelState } from '../state.ts';

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

/** @throws QuasarError model.token_out_of_range, model.unsupported */
export function forward(config: QuasarConfig, parameters: Parameters, input: ForwardInput): ForwardOutput {
  const { B, T, state } = input;
  if (config.memory_slots > 0) {
    throw new QuasarError('model.unsupported', 'forward: latent memory is not implemented yet', {
      hint: 'use a config with memory_slots 0 (nano, tiny)',
    });
  }
  checkTokens(input.tokens, B, T, config.vocab_size);
  const device = weight(parameters, 'model.norm.weight').device;
  const lengths = state?.lengths ?? new Int32Array(B);
  const values = input.positions ?? continuing(lengths, B, T);
  const positions = new Positions(device, B, T, values);
  const angles = input.positional === 'none' ? null : positions.angles(device, config.rope_theta, config.head_dim);
  const ids = Tensor.from(device, [B, T], input.tokens, 'int');
  const { rms_norm_eps: eps, residual_scale: rho, n_layers: L } = config;
  const next = new Map<string, Tensor>();
  const counts: Tensor[] = [];
  let routerLoss: Tensor | null = null;
  let h = rmsNorm(
    embedding(weight(parameters, 'model.embed_tokens.weight'), ids),
    weight(parameters, 'model.embed_norm.weight'),
    eps,
  );

  for (let loop = 0; loop < config.num_loops; loop++) {
    for (let layer = 0; layer < L; layer++) {
      const key = (name: string) => `${loop}.${layer}.${name}`;
      const c: LayerContext = {
        config,
        positions,
        angles,
        weight: (name) => weight(parameters, `model.layers.${layer}.${name}`),
        load: (name) => state?.tensors.get(key(name)) ?? null,
        save: (name, tensor) => next.set(key(name), tensor),
      };
      const u = rmsNorm(h, c.weight('ln1.weight'), eps);
      const a = layerType(config, layer) === 'quasar' ? quasarAttention(u, c) : gatedLinearAttention(u, c);
      h = axpby(1, h, rho, rmsNorm(a, c.weight('ln1_out.weight'), eps));
      const w = rmsNorm(h, c.weight('ln2.weight'), eps);
      let f: Tensor;
      if (isMoe(config, layer)) {
        const row = Tensor.from(device, [1], [layer - config.dense_input_layers], 'int');
        const bias = gatherRows(weight(parameters, 'model.all_moe_bias'), row);
        const out = mixture(w, bias, c);
        f = out.y;
        counts.push(out.counts);
        routerLoss = routerLoss ? add(routerLoss, out.loss) : out.loss;
      } else f = feedForward(w, c, 'ffn');
      h = axpby(1, h, rho, rmsNorm(f, c.weight('ln2_out.weight'), eps));
    }
  }
  const hidden = rmsNorm(h, weight(parameters, 'model.norm.weight'), eps);
  const read = Int32Array.from(lengths, (_, b) => (values[b * T + T - 1] as number) + 1);
  return { hidden, state: new ModelState(read, next), aux: { routerLoss, counts } };
}

/** Logits [M, V] of the given rows of hidden [B, T, D] (row index b·T + t); all rows when absent. */
export function vocabularyLogits(parameters: Parameters, hidden: Tensor, rows?: Int32Array): Tensor {
  const D = hidden.dim(-1);
  const flat = reshape(hidden, [hidden.size / D, D]); // [B, T, D] -> [B·T, D]
  const chosen = rows ? gatherRows(flat, Tensor.from(hidden.device, [rows.length], rows, 'int')) : flat;
  return linear(chosen, weight(parameters, 'lm_head.weight'));
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

function checkTokens(tokens: Int32Array, B: number, T: number, vocabulary: number): void {
  if (tokens.length !== B * T || B * T === 0) {
    throw new QuasarError('model.wrong_block', `forward: ${tokens.length} tokens for a block of ${B} rows of ${T}`, {
      hint: 'give at least one token per row',
    });
  }
  for (let i = 0; i < tokens.length; i++) {
    const id = tokens[i] as number;
    if (id < 0 || id >= vocabulary) {
      throw new QuasarError(
        'model.token_out_of_range',
        `forward: token ${id} at index ${i}, vocabulary has ${vocabulary}`,
        { hint: 'use the tokenizer of this model' },
      );
    }
  }
}
