/**
 * @file Raven: a recurrent memory of slots per head, of which a token writes the few that its router chooses; the others keep
 * their bits. K ← diag(eᵍ) K + s kᵀ,  V ← diag(eᵍ) V + s vᵀ,  s = 1 − eᵍ,  o = Vᵀ softmax(K q);  y = W_o norm(silu(o)).
 * No positions. Architecture §3.7.
 */
import { linear, reshape, rmsNorm, silu, slotAttention, slotGates, type Tensor } from '@quasar/tensor';
import type { LayerContext } from './context.ts';
import type { GroupedHeads } from './grouped-attention.ts';

export interface RavenOptions extends GroupedHeads {
  /** Slots per head, a multiple of 16, and those that a token may write. */
  slots: number;
  chosen: number;
}

/** u [B, T, D] -> [B, T, D] */
export function raven(u: Tensor, c: LayerContext<unknown>, options: RavenOptions): Tensor {
  const { at, heads: H, keyHeads: Hk, headDim: E, eps, slots: M, chosen } = options;
  const [B, T] = u.shape as [number, number, number];
  const weight = (name: string) => c.weight(`${at}.${name}`);
  const project = (name: string, count: number, width: number) =>
    reshape(linear(u, weight(`${name}_proj.weight`)), [B, T, count, width]);
  const q = rmsNorm(silu(project('q', H, E)), weight('q_norm.weight'), eps);
  const k = rmsNorm(silu(project('k', Hk, E)), weight('k_norm.weight'), eps);
  const v = silu(project('v', Hk, E));
  const [z, logits] = [project('a', H, 1), project('r', H, M)];
  const decay = slotGates(logits, reshape(z, [B, T, H]), weight('A_log'), weight('dt_bias'), null, chosen);
  const [keys, values] = [c.load('slot_keys'), c.load('slot_values')];
  const { out, state } = slotAttention(q, k, v, decay, keys && values && { keys, values }, c.positions);
  c.save('slot_keys', state.keys);
  c.save('slot_values', state.values);
  const y = rmsNorm(silu(reshape(out, [B, T, H * E])), weight('g_norm.weight'), eps);
  return linear(y, weight('o_proj.weight'));
}
