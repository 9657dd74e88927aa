/**
 * @file The load-balancing loss of softmax routers as public transformers compute it (Fedus et al. 2021, for K experts per
 * token): E·Σ_e f_e P_e, where f_e is the number of assignments of expert e over the tokens of all layers, and P_e the mean of
 * its probability over them. Balanced routing gives K.
 */
import {
  add,
  axpby,
  crossEntropy,
  divergence,
  linear,
  reshape,
  scale,
  slice,
  Tensor,
  weightedSum,
} from '@quasar/tensor';

export interface RoutedLayer {
  /** Of the router, [N, E]. */
  logits: Tensor;
  /** Tokens per expert, [E]. */
  counts: Tensor;
}

/** One element. */
export function loadBalance(layers: readonly RoutedLayer[]): Tensor {
  const { logits, counts } = layers[0] as RoutedLayer;
  const [N, E] = [logits.rows, counts.size];
  const rows = layers.length * N;
  const cost = scale(layers.map((layer) => layer.counts).reduce(add), E / rows); // E·f_e
  return layers.map((layer) => expectedCost(layer.logits, cost, 1 / rows)).reduce(add);
}

/**
 * factor·Σ_n Σ_e p_ne cost_e with p = softmax(logits [N, E]), cost [E] a constant. It is what two divergences differ in:
 *   KL(p ‖ uniform) − KL(p ‖ softmax(cost)) = Σ_e p_e cost_e − log Σ_e e^cost_e + log E.
 */
function expectedCost(logits: Tensor, cost: Tensor, factor: number): Tensor {
  const { device } = logits;
  const [N, E] = [logits.rows, cost.size];
  const ones = Tensor.filled(device, [N, 1], 1);
  const costs = linear(ones, reshape(cost, [E, 1])); // [N, E]
  const first = Tensor.from(device, [1], [0], 'int');
  const row = reshape(cost, [1, E]);
  const total = add(crossEntropy(row, first), reshape(slice(row, 1, 0, 1), [1])); // log Σ e^cost
  const from = (teacher: Tensor, by: number) =>
    weightedSum(divergence(logits, teacher, { direction: 'reverse' }), reshape(ones, [N]), by);
  const difference = add(from(Tensor.zeros(device, [N, E]), factor), from(costs, -factor));
  return axpby(1, difference, factor * N, scale(total, 1, -Math.log(E)));
}
