/**
 * @file The skeleton of Qwen3.5 text models: h = E[ids]; per layer h += mixer(norm h), h += ffn(norm h); a norm and a head.
 * Norms are zero-centred. One function for training, prefill of any block size and decoding.
 */
import { add, embedding } from '@quasar/tensor';
import type { Block, BlockOptions, BlockOutput } from '../../block.ts';
import { centredNorm } from '../../layers/centred-norm.ts';
import { feedForward } from '../../layers/feed-forward.ts';
import { gatedAttention } from '../../layers/gated-attention.ts';
import { gatedDeltaNet } from '../../layers/gated-delta-net.ts';
import { softmaxMixture } from '../../layers/softmax-mixture.ts';
import { type Parameters, weight } from '../../parameters.ts';
import { rotationOf } from '../../positional.ts';
import { runLayers } from '../run-layers.ts';
import { expertsOf, type Qwen35Config, rotaryDim } from './config.ts';

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
  const { h, outputs, tensors } = runLayers(stack, embedded, (input, layer, c) => {
    const u = centredNorm(input, c.weight('input_layernorm.weight'), eps);
    const y = types[layer] === 'linear_attention' ? gatedDeltaNet(u, c) : gatedAttention(u, c);
    const mixed = add(input, options.branch ? options.branch(y, u, c, layer) : y);
    const w = centredNorm(mixed, c.weight('post_attention_layernorm.weight'), eps);
    if (!experts) return { h: add(mixed, feedForward(w, c, 'mlp', '_proj')), counts: null };
    const { y: routed, counts } = softmaxMixture(w, c, experts.chosen);
    return { h: add(mixed, routed), counts };
  });
  const hidden = centredNorm(h, weight(parameters, 'model.norm.weight'), eps);
  return { hidden, tensors, aux: { routerLoss: null, counts: outputs.flatMap(({ counts }) => counts ?? []) } };
}
