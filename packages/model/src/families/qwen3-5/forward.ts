/**
 * @file The skeleton of Qwen3.5 text models: h = E[ids]; per layer h += mixer(norm h), h += ffn(norm h); a norm and a head.
 * Norms are zero-centred. One function for training, prefill of any block size and decoding.
 */
import { add, checkpoint, embedding, recording, scope, type Tensor } from '@quasar/tensor';
import type { Block, BlockOptions, BlockOutput } from '../../block.ts';
import { centredNorm } from '../../layers/centred-norm.ts';
import type { LayerContext } from '../../layers/context.ts';
import { feedForward } from '../../layers/feed-forward.ts';
import { gatedAttention } from '../../layers/gated-attention.ts';
import { gatedDeltaNet } from '../../layers/gated-delta-net.ts';
import { type Parameters, weight } from '../../parameters.ts';
import { rotationOf } from '../../positional.ts';
import { type Qwen35Config, rotaryDim } from './config.ts';

/** @throws QuasarError checkpoint.missing_tensor */
export function forwardQwen35(
  config: Qwen35Config,
  parameters: Parameters,
  { ids, positions }: Block,
  { state, chunk, positional = { mode: 'rope' }, recompute = false, branch }: BlockOptions = {},
): BlockOutput {
  const { rms_norm_eps: eps, rope_parameters: rope } = config;
  const rotation = rotationOf(positional, { theta: rope.rope_theta, rotary: rotaryDim(config) });
  const next = new Map<string, Tensor>();
  // Without a backward pass to come, the temporaries of a layer are freed with it.
  const isRecording = recording([...parameters.values()]);
  const perLayer = <T>(body: () => T): T => (!isRecording ? scope(body) : recompute ? checkpoint(body) : body());
  let h = embedding(weight(parameters, 'model.embed_tokens.weight'), ids);
  config.layer_types.forEach((type, layer) => {
    const before = h;
    const out = perLayer(() => {
      const saved = new Map<string, Tensor>();
      const c: LayerContext<Qwen35Config> = {
        config,
        positions,
        rotation,
        chunk,
        weight: (name) => weight(parameters, `model.layers.${layer}.${name}`),
        load: (name) => state?.get(`0.${layer}.${name}`) ?? null,
        save: (name, tensor) => saved.set(`0.${layer}.${name}`, tensor),
      };
      const u = centredNorm(before, c.weight('input_layernorm.weight'), eps);
      const y = type === 'linear_attention' ? gatedDeltaNet(u, c) : gatedAttention(u, c);
      const mixed = add(before, branch ? branch(y, u, c, layer) : y);
      const w = centredNorm(mixed, c.weight('post_attention_layernorm.weight'), eps);
      return { h: add(mixed, feedForward(w, c, 'mlp', '_proj')), saved };
    });
    h = out.h;
    for (const [name, tensor] of out.saved) next.set(name, tensor);
  });
  const hidden = centredNorm(h, weight(parameters, 'model.norm.weight'), eps);
  return { hidden, tensors: next, aux: { routerLoss: null, counts: [] } };
}
