/**
 * @file The Quasar-Preview skeleton: plain pre-norm layers of softmax attention, in hybrid layers with a branch of linear
 * attention, and a feed-forward or mixture; then a norm and an untied head. Architecture §2.2.
 *   P = h = E[ids];  per loop, per layer:  [h = e^(−softplus p) h + σ(a) P]  [h += σ(γ) P]  [h += s engram(ids, h)]
 *                                          h += attention(norm h);  h += ffn(norm h)
 * One function for training, prefill of any block size and decoding. Public code cuts values and hides NaN between the parts
 * of a hybrid layer; here a number that is none stays to be seen.
 */
import { add, axpby, embedding, rmsNorm, type Tensor } from '@quasar/tensor';
import type { Block, BlockOptions, BlockOutput } from '../../block.ts';
import { injectAnchor, stabilize } from '../../layers/anchor.ts';
import { mergeBranch } from '../../layers/branch-merge.ts';
import type { LayerContext } from '../../layers/context.ts';
import { detach } from '../../layers/detach.ts';
import { engram } from '../../layers/engram.ts';
import { feedForward } from '../../layers/feed-forward.ts';
import { type GroupedHeads, groupedAttention } from '../../layers/grouped-attention.ts';
import { groupedMixture } from '../../layers/grouped-mixture.ts';
import { quasarAttention } from '../../layers/quasar-attention.ts';
import { raven } from '../../layers/raven.ts';
import { retention } from '../../layers/retention.ts';
import { type Parameters, weight } from '../../parameters.ts';
import { rotationOf } from '../../positional.ts';
import { runLayers } from '../run-layers.ts';
import {
  type Branch,
  configuredPositional,
  engramOptions,
  isMoe,
  optionsOf,
  partsOf,
  type QuasarLongConfig,
  quasarOptions,
  rotaryDim,
} from './config.ts';

/** @throws QuasarError checkpoint.missing_tensor */
export function forwardQuasarLong(
  config: QuasarLongConfig,
  parameters: Parameters,
  block: Block,
  options: BlockOptions = {},
): BlockOutput {
  const { positional = configuredPositional(config) } = options;
  const rotation = rotationOf(positional, { theta: config.rope_theta, rotary: rotaryDim(config) });
  const { num_hidden_layers: layers, num_loops: loops } = config;
  const stack = { config, parameters, block, options, rotation, layers, loops };
  const anchor = embedding(weight(parameters, 'model.word_embeddings.weight'), block.ids);
  const { h, outputs, layerOutputs, tensors } = runLayers(stack, anchor, (input, layer, c) =>
    runLayer(input, anchor, block.ids, layer, c, options.branch),
  );
  const hidden = rmsNorm(h, weight(parameters, 'model.norm.weight'), config.rms_norm_eps);
  const counts = outputs.flatMap((output) => output.counts ?? []);
  return { ...layerOutputs, hidden, tensors, aux: { routerLoss: null, counts } };
}

/** `counts`: tokens per expert; null: a dense layer. */
function runLayer(
  input: Tensor,
  embeddings: Tensor,
  ids: Tensor,
  layer: number,
  c: LayerContext<QuasarLongConfig>,
  graft: BlockOptions['branch'],
): { h: Tensor; counts: Tensor | null } {
  const { config } = c;
  const norm = (x: Tensor, name: string) => rmsNorm(x, c.weight(`${name}.weight`), config.rms_norm_eps);
  let h = drawn(input, embeddings, c);
  if (config.engram_layers.includes(layer))
    h = axpby(1, h, config.engram_residual_scale, engram(h, ids, c, engramOptions(config)));
  const u = norm(h, 'input_layernorm');
  // Upon a model that is grafted, the branches of the graft are the ones that mimic.
  const a = hybridAttention(u, layer, graft ? { ...c, mimic: undefined } : c);
  h = add(h, graft ? graft(a, u, c, layer) : a);
  const w = norm(h, 'post_attention_layernorm');
  if (!isMoe(config, layer)) return { h: feedForward(w, c, 'mlp', '_proj', h), counts: null };
  const { y, counts } = groupedMixture(w, c, {
    chosen: config.num_experts_per_tok,
    groups: config.n_group,
    keptGroups: config.topk_group,
    scale: config.routed_scaling_factor,
    hasShared: config.num_shared_experts > 0,
  });
  return { h: add(h, y), counts };
}

/** Draws h to the embeddings P where the model is looped. */
function drawn(input: Tensor, embeddings: Tensor, c: LayerContext<QuasarLongConfig>): Tensor {
  const options = optionsOf(c.config);
  const scales = { gate: options.anchor_grad_scale_gate, P: options.anchor_grad_scale_P };
  let h = input;
  if (options.use_parcae_loop_stabilizer) {
    const gates = { decay: c.weight('parcae_decay_raw'), gate: c.weight('parcae_anchor_gate') };
    h = stabilize(h, embeddings, gates, scales);
  }
  if (c.config.use_looped_injection) h = injectAnchor(h, embeddings, c.weight('injection_gate'), scales);
  return h;
}

/** u [B, T, D] -> [B, T, D] */
function hybridAttention(u: Tensor, layer: number, c: LayerContext<QuasarLongConfig>): Tensor {
  const { config } = c;
  const { softmax, branch } = partsOf(config, layer);
  const attended = softmax ? groupedAttention(u, c, headsAt(config, 'attention')) : null;
  if (!branch) return attended as Tensor;
  const { hybrid_output_adapter_rank: rank, hybrid_output_adapter_alpha: alpha } = optionsOf(config);
  if (!c.mimic || !attended) return mergeBranch(branchOutput(u, branch, c), attended, c, { rank, alpha });
  c.mimic(detach(attended), mergeBranch(branchOutput(detach(u), branch, c), null, c, { rank, alpha }));
  return attended;
}

function branchOutput(u: Tensor, branch: Branch, c: LayerContext<QuasarLongConfig>): Tensor {
  const { config } = c;
  switch (branch) {
    case 'quasar':
      return quasarAttention(u, c, quasarOptions(config));
    case 'raven': {
      const { hybrid_raven_slots: slots, hybrid_raven_topk: chosen } = config;
      return raven(u, c, { ...headsAt(config, 'attention.raven_attention'), slots, chosen });
    }
    case 'gla': {
      const normGroups = optionsOf(config).hybrid_gla_group_norm_size;
      return retention(u, c, { ...headsAt(config, 'attention.gla_attention'), normGroups });
    }
  }
}

function headsAt(config: QuasarLongConfig, at: string): GroupedHeads {
  const { num_attention_heads: heads, num_key_value_heads: keyHeads, head_dim: headDim, rms_norm_eps: eps } = config;
  return { at, heads, keyHeads, headDim, eps };
}
