/**
 * @file The Quasar-3B skeleton: embed norm, then layers of attention and feed-forward with norms before and after
 * (sandwich), each scaled into the residual stream; then a norm and an untied head. Architecture §2.1.
 *   P = h = norm(E[ids]);  per loop, per layer:  [h += σ(γ) P];  h += ρ norm(attention(norm h));  h += ρ norm(ffn(norm h))
 * One function for training, prefill of any block size and decoding.
 */
import { add, axpby, checkpoint, embedding, gatherRows, recording, rmsNorm, scope, Tensor } from '@quasar/tensor';
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
import { attentionOptions, hasMemory, isMoe, layerType, optionsOf, type QuasarConfig } from './config.ts';

/** @throws QuasarError model.unsupported, checkpoint.missing_tensor */
export function forwardQuasar(
  config: QuasarConfig,
  parameters: Parameters,
  block: Block,
  options: BlockOptions = {},
): BlockOutput {
  const { ids, positions } = block;
  const { state, chunk, recompute = false } = options;
  const positional = options.positional ?? configured(config);
  const rotation = rotationOf(positional, { theta: config.rope_theta, rotary: config.head_dim });
  const { rms_norm_eps: eps } = config;
  const next = new Map<string, Tensor>();
  const counts: Tensor[] = [];
  let routerLoss: Tensor | null = null;
  let memoryLoss: Tensor | null = null;
  const anchor = rmsNorm(
    embedding(weight(parameters, 'model.embed_tokens.weight'), ids),
    weight(parameters, 'model.embed_norm.weight'),
    eps,
  );
  // Without a backward pass to come, the temporaries of a layer are freed with it.
  const isRecording = recording([...parameters.values()]);
  const { auxLosses = isRecording } = options;
  const perLayer = <T>(body: () => T): T => (!isRecording ? scope(body) : recompute ? checkpoint(body) : body());
  let h = anchor;
  for (let loop = 0; loop < config.num_loops; loop++) {
    for (let layer = 0; layer < config.n_layers; layer++) {
      const key = (name: string) => `${loop}.${layer}.${name}`;
      const before = h;
      const out = perLayer(() => {
        const saved = new Map<string, Tensor>();
        const c: LayerContext<QuasarConfig> = {
          config,
          positions,
          rotation,
          chunk,
          auxLosses,
          weight: (name) => weight(parameters, `model.layers.${layer}.${name}`),
          load: (name) => state?.get(key(name)) ?? null,
          save: (name, tensor) => saved.set(key(name), tensor),
        };
        const bias = isMoe(config, layer) ? selectionBias(config, parameters, layer) : null;
        return { ...runLayer(before, anchor, layer, bias, c, options.branch), saved };
      });
      h = out.h;
      for (const [name, tensor] of out.saved) next.set(name, tensor);
      if (out.memoryLoss) memoryLoss = memoryLoss ? add(memoryLoss, out.memoryLoss) : out.memoryLoss;
      if (!out.routed) continue;
      counts.push(out.routed.counts);
      routerLoss = routerLoss ? add(routerLoss, out.routed.loss) : out.routed.loss;
    }
  }
  const hidden = rmsNorm(h, weight(parameters, 'model.norm.weight'), eps);
  return { hidden, tensors: next, aux: { routerLoss, memoryLoss, counts } };
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
