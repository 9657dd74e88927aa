/**
 * @file The skeleton of Qwen3.5 text models: h = E[ids]; per layer h += mixer(norm h), h += ffn(norm h); a norm and a head.
 * Norms are zero-centred. One function for training, prefill of any block size and decoding.
 */
import { add, embedding, recording, scale } from '@quasar/tensor';
import type { Block, BlockOptions, BlockOutput } from '../../block.ts';
import { centredNorm } from '../../layers/centred-norm.ts';
import { feedForward } from '../../layers/feed-forward.ts';
import { gatedAttention } from '../../layers/gated-attention.ts';
import { gatedDeltaNet } from '../../layers/gated-delta-net.ts';
import { loadBalance } from '../../layers/load-balance.ts';
import { softmaxMixture } from '../../layers/softmax-mixture.ts';
import { type Parameters, weight } from '../../parameters.ts';
import { rotationOf } from '../../positional.ts';
import { runLayers } from '../run-layers.ts';
import { expertsOf, type Qwen35Config, rotaryDim } from './config.ts';

/** Of the router loss, where the config names none: that of the public family. */
const DEFAULT_COEFFICIENT = 1e-3;

/** @throws QuasarError checkpoint.missing_tensor */
export function forwardQwen35(
  config: Qwen35Config,
  parameters: Parameters,
  block: Block,
  options: BlockOptions = {},
): BlockOutput {
  const { rms_norm_eps: eps, rope_parameters: rope, layer_types: types } = config;
  const { positional = { mode: 'rope' } } = options;
  const rotation = rotationOf(positional, { theta: rope.rope_theta, rotary: rotaryDim(config) });
  const stack = { config, parameters, block, options, rotation, layers: types.length, loops: 1 };
  const embedded = embedding(weight(parameters, 'model.embed_tokens.weight'), block.ids);
  const experts = expertsOf(config);
  const { h, outputs, layerOutputs, tensors } = runLayers(stack, embedded, (input, layer, c) => {
    const u = centredNorm(input, c.weight('input_layernorm.weight'), eps);
    const mixer = types[layer] === 'linear_attention' ? gatedDeltaNet : gatedAttention;
    const { branch } = options;
    const mixed = branch ? add(input, branch(mixer(u, c), u, c, layer)) : mixer(u, c, input);
    const w = centredNorm(mixed, c.weight('post_attention_layernorm.weight'), eps);
    if (!experts) return { h: feedForward(w, c, 'mlp', '_proj', mixed), routed: null };
    const { y: expert, routed } = softmaxMixture(w, c, experts.chosen);
    return { h: add(mixed, expert), routed };
  });
  const hidden = centredNorm(h, weight(parameters, 'model.norm.weight'), eps);
  const routed = outputs.flatMap((output) => output.routed ?? []);
  const { auxLosses = recording([...parameters.values()]) } = options;
  const factor = config.router_aux_loss_coef ?? DEFAULT_COEFFICIENT;
  const routerLoss = auxLosses && routed.length > 0 && factor > 0 ? scale(loadBalance(routed), factor) : null;
  return { ...layerOutputs, hidden, tensors, aux: { routerLoss, counts: routed.map(({ counts }) => counts) } };
}
