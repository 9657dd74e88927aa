/**
 * @file Mixture of experts as in Qwen3.5: out = Σ w_e SwiGLU_e(x) + σ(W_s x) SwiGLU_shared(x) over the K most likely experts,
 * w their probabilities (a softmax over all logits), normed to sum to 1. No token is dropped for capacity.
 */
import {
  add,
  axpby,
  combine,
  crossEntropy,
  dispatch,
  expertLinear,
  linear,
  multiply,
  noGrad,
  reshape,
  route,
  sigmoid,
  slice,
  swiglu,
  Tensor,
} from '@quasar/tensor';
import type { LayerContext } from './context.ts';
import { feedForward } from './feed-forward.ts';
import type { RoutedLayer } from './load-balance.ts';

/** x [B, T, D] -> y [B, T, D]. @param chosen experts per token */
export function softmaxMixture(
  x: Tensor,
  c: LayerContext<unknown>,
  chosen: number,
): { y: Tensor; routed: RoutedLayer } {
  const D = x.dim(-1);
  const rows = reshape(x, [x.size / D, D]); // [B, T, D] -> [N, D]
  const logits = linear(rows, c.weight('mlp.gate.weight'));
  const routing = route(logarithms(logits), Tensor.zeros(x.device, [logits.dim(-1)]), chosen);
  const inner = swiglu(expertLinear(dispatch(rows, routing), c.weight('mlp.experts_w12'), routing));
  const routed = combine(expertLinear(inner, c.weight('mlp.experts_w3'), routing), routing);
  const share = sigmoid(linear(rows, c.weight('mlp.shared_expert_gate.weight'))); // [N, 1]
  const shared = feedForward(rows, c, 'mlp.shared_expert', '_proj');
  const y = add(routed, multiply(shared, outer(share, D)));
  return { y: reshape(y, x.shape), routed: { logits, counts: routing.counts } };
}

/**
 * Logarithms of probabilities: logits less one number per row, which changes neither the choice nor the gates. The router
 * compares σ of what it is given, and σ of a large logit is 1 whatever the logit; of numbers below 0 it loses no difference.
 */
function logarithms(logits: Tensor): Tensor {
  const total = noGrad(() => {
    const first = Tensor.from(logits.device, [logits.rows], new Int32Array(logits.rows), 'int');
    const past = crossEntropy(logits, first); // log Σ e^logit − the first logit
    return outer(add(past, slice(logits, 1, 0, 1)), logits.dim(-1));
  });
  return axpby(1, logits, -1, total);
}

/** Each number `count` times: [N] or [N, 1] -> [N, count]. */
function outer(x: Tensor, count: number): Tensor {
  return linear(reshape(x, [x.size, 1]), Tensor.filled(x.device, [count, 1], 1));
}
