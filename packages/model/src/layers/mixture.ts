/**
 * @file BigMac mixture of experts: tokens descend to a bottleneck before they are sent to experts and ascend after.
 *   out = ½ (shared(x) + c · W_up Σ_{e in top K} g_e expert_e(W_down x)),  g = softmax of the chosen router logits.
 * Source: architecture §3.9.1. The factor c (`route_scale`, √K) holds in training and evaluation alike (public code drops
 * it in evaluation), and no token is dropped for capacity.
 */
import {
  axpby,
  combine,
  dispatch,
  expertLinear,
  linear,
  reshape,
  route,
  routerLoss,
  scale,
  swiglu,
  type Tensor,
} from '@quasar/tensor';
import { optionsOf, type QuasarConfig } from '../families/quasar/config.ts';
import type { LayerContext } from './context.ts';
import { feedForward } from './feed-forward.ts';

export interface MixtureOutput {
  y: Tensor;
  /** Balance and z loss of the router, one element. */
  loss: Tensor;
  /** Tokens per expert, [X]. */
  counts: Tensor;
}

/** x [B, T, D]; bias [X] is the SMEBU selection bias. */
export function mixture(x: Tensor, bias: Tensor, c: LayerContext<QuasarConfig>): MixtureOutput {
  const { top_k: K, num_shared_experts: shared, moe_aux_loss_coeff: aux, moe_z_loss_coeff: z } = c.config;
  const { route_scale: factor } = optionsOf(c.config);
  const D = x.dim(-1);
  const rows = reshape(x, [x.size / D, D]); // [B, T, D] -> [N, D]
  const logits = linear(rows, c.weight('ffn.router.router_weights'));
  const routing = route(logits, bias, K);
  const low = linear(rows, c.weight('ffn.w_down_proj.weight')); // [N, D] -> [N, b]
  const inner = swiglu(expertLinear(dispatch(low, routing), c.weight('ffn.experts_w12'), routing));
  const mixed = combine(expertLinear(inner, c.weight('ffn.experts_w3'), routing), routing);
  const routed = reshape(linear(mixed, c.weight('ffn.w_up_proj.weight')), x.shape); // [N, b] -> [B, T, D]
  const loss = routerLoss(logits, routing.counts, K, aux, z);
  if (shared === 0) return { y: scale(routed, factor), loss, counts: routing.counts };
  let sum = feedForward(x, c, 'ffn.shared_experts.0');
  for (let s = 1; s < shared; s++) sum = axpby(1, sum, 1, feedForward(x, c, `ffn.shared_experts.${s}`));
  return { y: axpby(0.5, sum, 0.5 * factor, routed), loss, counts: routing.counts };
}
