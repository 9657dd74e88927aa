/**
 * @file The Quasar-3B skeleton: embed norm, then layers of attention and feed-forward with norms before and after
 * (sandwich), each scaled into the residual stream; then a norm and an untied head. Architecture §2.1.
 *   P = h = norm(E[ids]);  per loop, per layer:  [h += σ(γ) P];  h += ρ norm(attention(norm h));  h += ρ norm(ffn(norm h))
 * One function for training, prefill of any block size and decoding.
 */
import { add, axpby, embedding, gatherRows, rmsNorm, Tensor } from '@quasar/tensor';
import type { Block, BlockOptions, BlockOutput } from '../../block.ts';
import { injectAnchor } from '../../layers/anchor.ts';
import type { LayerContext } from '../../layers/context.ts';
import { feedForward } from '../../layers/feed-forward.ts';
import { gatedLinearAttention } from '../../layers/gated-linear-attention.ts';
import { readMemory } from '../../layers/latent-memory.ts';
import { mixture } from '../../layers/mixture.ts';
import { quasarAttention } from '../../layers/quasar-attention.ts';
import { siblingAttention } from '../../layers/sibling-attention.ts';
import { type Parameters, weight } from '../../parameters.ts';
import { type Positional, rotationOf } from '../../positional.ts';
import { runLayers } from '../run-layers.ts';
import { attentionOptions, hasMemory, isMoe, layerType, optionsOf, type QuasarConfig } from './config.ts';

/** @throws QuasarError model.unsupported, checkpoint.missing_tensor */
export function forwardQuasar(
  config: QuasarConfig,
  parameters: Parameters,
  block: Block,
  options: BlockOptions = {},
): BlockOutput {
  const positional = options.positional ?? configured(config);
  const rotation = rotationOf(positional, { theta: config.rope_theta, rotary: config.head_dim });
  const { rms_norm_eps: eps, n_layers: layers, num_loops: loops } = config;
  const anchor = rmsNorm(
    embedding(weight(parameters, 'model.embed_tokens.weight'), block.ids),
    weight(parameters, 'model.embed_norm.weight'),
    eps,
  );
  const stack = { config, parameters, block, options, rotation, layers, loops };
  const { h, outputs, layerOutputs, tensors } = runLayers(stack, anchor, (input, layer, c) =>
    runLayer(
      input,
      anchor,
      layer,
      isMoe(config, layer) ? selectionBias(config, parameters, layer) : null,
      c,
      options.branch,
    ),
  );
  const routed = outputs.flatMap((output) => output.routed ?? []);
  const hidden = rmsNorm(h, weight(parameters, 'model.norm.weight'), eps);
  return {
    ...layerOutputs,
    hidden,
    tensors,
    aux: {
      routerLoss: total(routed.map(({ loss }) => loss)),
      memoryLoss: total(outputs.flatMap((output) => output.memoryLoss ?? [])),
      counts: routed.map(({ counts }) => counts),
    },
  };
}

/** Null where there is none. */
function total(losses: Tensor[]): Tensor | null {
  return losses.length > 0 ? losses.reduce(add) : null;
}

interface LayerOutput {
  h: Tensor;
  /** Of a mixture layer. */
  routed: { loss: Tensor; counts: Tensor } | null;
  memoryLoss: Tensor | null;
}

/** @param bias SMEBU bias of a mixture layer; null: a dense layer. */
function runLayer(
  input: Tensor,
  anchor: Tensor,
  layer: number,
  bias: Tensor | null,
  c: LayerContext<QuasarConfig>,
  branch: BlockOptions['branch'],
): LayerOutput {
  const { config } = c;
  const { rms_norm_eps: eps, residual_scale: rho } = config;
  const norm = (x: Tensor, name: string) => rmsNorm(x, c.weight(`${name}.weight`), eps);
  const site = config.use_looped_injection ? optionsOf(config).injection_site : null;
  let h = site === 'layer_input' ? inject(input, anchor, c) : input;
  const u = norm(h, 'ln1');
  const isQuasar = layerType(config, layer) === 'quasar';
  let a = isQuasar ? attentionOf(u, c) : gatedLinearAttention(u, c);
  const memory = hasMemory(config, layer) ? readMemory(u, c) : null;
  if (memory) a = add(a, memory.y);
  if (branch) a = branch(a, u, c, layer);
  h = axpby(1, h, rho, norm(a, 'ln1_out'));
  const w = norm(h, 'ln2');
  const routed = bias ? mixture(w, bias, c) : null;
  const f = routed ? routed.y : feedForward(w, c, 'ffn');
  h = axpby(1, h, rho, norm(f, 'ln2_out'));
  if (site === 'loop_end' && layer === config.n_layers - 1) h = inject(h, anchor, c);
  return { h, routed: routed && { loss: routed.loss, counts: routed.counts }, memoryLoss: memory?.loss ?? null };
}

function attentionOf(u: Tensor, c: LayerContext<QuasarConfig>): Tensor {
  const [{ attention }, options] = [optionsOf(c.config), attentionOptions(c.config)];
  return attention === 'quasar' ? quasarAttention(u, c, options) : siblingAttention(u, c, attention, options);
}

function inject(h: Tensor, anchor: Tensor, c: LayerContext<QuasarConfig>): Tensor {
  const { anchor_grad_scale_gate: gate, anchor_grad_scale_P: P } = optionsOf(c.config);
  return injectAnchor(h, anchor, c.weight('injection_gate'), { gate, P });
}

function configured(config: QuasarConfig): Positional {
  const { positional: mode, nope_after_position: cutoff } = optionsOf(config);
  return mode === 'safe_nope' ? { mode, cutoff } : { mode };
}

function selectionBias(config: QuasarConfig, parameters: Parameters, layer: number): Tensor {
  const all = weight(parameters, 'model.all_moe_bias');
  return gatherRows(all, Tensor.from(all.device, [1], [layer - config.dense_input_layers], 'int'));
}
