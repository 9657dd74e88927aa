/**
 * @file Mixture of experts as in DeepSeek-V3, Ling and Quasar-Preview: out = Σ w_e SwiGLU_e(x) + SwiGLU_shared(x) over the K
 * best experts by σ(logit) + bias, all from the few best groups; w = scale·σ(logit), normed to sum to `scale`. No token is
 * dropped for capacity. Architecture §3.9.2.
 */
import { add, combine, dispatch, expertLinear, linear, reshape, route, swiglu, type Tensor } from '@quasar/tensor';
import type { LayerContext } from './context.ts';
import { feedForward } from './feed-forward.ts';

export interface GroupedMixtureOptions {
  /** Experts per token. */
  chosen: number;
  groups: number;
  keptGroups: number;
  scale: number;
  hasShared: boolean;
}

/** x [B, T, D]; `counts` are tokens per expert, [X]. */
export function groupedMixture(
  x: Tensor,
  c: LayerContext<unknown>,
  { chosen, groups, keptGroups, scale, hasShared }: GroupedMixtureOptions,
): { y: Tensor; counts: Tensor } {
  const D = x.dim(-1);
  const rows = reshape(x, [x.size / D, D]); // [B, T, D] -> [N, D]
  const logits = linear(rows, c.weight('mlp.gate.weight'));
  const options = { gate: 'sigmoid', scale, groups, keptGroups } as const;
  const routing = route(logits, c.weight('mlp.gate.expert_bias'), chosen, options);
  const inner = swiglu(expertLinear(dispatch(rows, routing), c.weight('mlp.experts_w12'), routing));
  const routed = combine(expertLinear(inner, c.weight('mlp.experts_w3'), routing), routing);
  const y = reshape(routed, x.shape);
  return { y: hasShared ? add(y, feedForward(x, c, 'mlp.shared_experts', '_proj')) : y, counts: routing.counts };
}
