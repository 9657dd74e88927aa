/** @file Gates of delta rules: how strongly a token writes, how fast the state forgets. Architecture §3.5. */
import { record, recording } from '../autograd.ts';
import { ShapeError, sizeOf, Tensor } from '../tensor.ts';

const buffersOf = (tensors: (Tensor | null)[]) => tensors.map((t) => t?.buffer ?? null);
const like = (...tensors: Tensor[]) => tensors.map((x) => Tensor.empty(x.device, x.shape));

export interface ExactGateOptions {
  /** β from z. Default `softplus`. */
  beta?: 'softplus' | 'sigmoid';
  /** Added to λ: what is forgotten besides what the key erases, γ >= 0, as many as z. */
  rate?: Tensor | null;
  /** Added to the divisor, and the least |k|²: forms of public kernels. Default 0. */
  eps?: number;
  floor?: number;
}

/**
 * α = φ(β, λ) = (1 − e^(−βλ)) / (λ + eps) with λ = max(|k|², floor) + rate: the exact zero-order-hold write gate, without
 * cancellation for small βλ. z [B,T,H], k [B,T,H,E] -> [B,T,H]. Keys below the floor get no gradient. @throws ShapeError
 */
export function exactGate(
  z: Tensor,
  k: Tensor,
  { beta = 'softplus', rate = null, eps = 0, floor = 0 }: ExactGateOptions = {},
): Tensor {
  const E = k.dim(-1);
  if (z.size * E !== k.size || (rate && rate.size !== z.size))
    throw new ShapeError(`exactGate: z [${z.shape}] and rate [${rate?.shape ?? ''}] for k [${k.shape}]`);
  const numbers = [z.size, E, beta === 'sigmoid' ? 1 : 0, eps, floor];
  const [alpha] = like(z) as [Tensor];
  z.device.run('exact_gate', buffersOf([alpha, z, k, rate]), numbers);
  if (recording([z, k, rate])) {
    record([z, k, rate], [alpha], ([d]) => {
      const [dz, dk] = like(z, k) as [Tensor, Tensor];
      const dRate = rate && Tensor.empty(z.device, rate.shape);
      z.device.run('exact_gate_backward', buffersOf([dz, dk, dRate, z, k, rate, d as Tensor]), numbers);
      return [dz, dk, dRate];
    });
  }
  return alpha;
}

/**
 * α of Quasar-Preview's chunk form (architecture §3.5.8): the mean over channels c of 1 − exp(−e^A·softplus(β + dt_c)), over
 * λ + 1e-6, within [1e-4, 0.95], with β = σ(z) and λ = |k|² within [0.1, 10]. Gradients are those of this formula (none
 * beyond the bounds), not the public kernel's, whose backward pass is that of another gate.
 * @param z [B,T,H]
 * @param k [B,T,H,E]
 * @param logRate A, [H]
 * @param timeBias dt, [H·E]
 * @throws ShapeError
 */
export function previewGate(z: Tensor, k: Tensor, logRate: Tensor, timeBias: Tensor): Tensor {
  const [H, E] = [k.dim(-2), k.dim(-1)];
  const tokens = sizeOf(k.shape.slice(0, -2));
  if (z.size !== tokens * H || logRate.size !== H || timeBias.size !== H * E) {
    const shapes = `k [${k.shape}] · z [${z.shape}] · rate [${logRate.shape}] · dt [${timeBias.shape}]`;
    throw new ShapeError(`previewGate: ${shapes} do not fit`);
  }
  const numbers = [tokens, H, E];
  const inputs = [z, k, logRate, timeBias];
  const [alpha] = like(z) as [Tensor];
  z.device.run('preview_gate', buffersOf([alpha, ...inputs]), numbers);
  if (recording(inputs)) {
    record(inputs, [alpha], ([d]) => {
      const [dz, dk, rates, times] = like(z, k, z, k) as [Tensor, Tensor, Tensor, Tensor];
      z.device.run('preview_gate_backward', buffersOf([dz, dk, rates, times, ...inputs, d as Tensor]), numbers);
      const [dRate, dTime] = like(logRate, timeBias) as [Tensor, Tensor];
      z.device.run('sum_rows', [dRate.buffer, rates.buffer], [tokens, H]);
      z.device.run('sum_rows', [dTime.buffer, times.buffer], [tokens, H * E]);
      return [dz, dk, dRate, dTime];
    });
  }
  return alpha;
}

/**
 * Log decay g = −e^A·softplus(z + dt) <= 0 of gated recurrences: z and result [..., H·E], one rate A per head, [H], and one
 * shift dt per channel, [H·E]; E = 1 for one decay per head. Architecture §3.5.11 (gated delta net, KDA). @throws ShapeError
 */
export function decayGate(z: Tensor, logRate: Tensor, timeBias: Tensor): Tensor {
  const H = logRate.size;
  const E = timeBias.size / H;
  const rows = z.size / timeBias.size;
  if (!Number.isInteger(E) || !Number.isInteger(rows))
    throw new ShapeError(`decayGate: z [${z.shape}] · rate [${logRate.shape}] · dt [${timeBias.shape}] do not fit`);
  const { device } = z;
  const numbers = [rows, H, E];
  const [g] = like(z) as [Tensor];
  device.run('decay_gate', buffersOf([g, z, logRate, timeBias]), numbers);
  if (recording([z, logRate, timeBias])) {
    record([z, logRate, timeBias], [g], ([d]) => {
      const perRow = Tensor.empty(device, [rows, H]);
      const [dz, dRate, dTime] = like(z, logRate, timeBias) as [Tensor, Tensor, Tensor];
      device.run('decay_gate_backward', buffersOf([dz, perRow, z, logRate, timeBias, d as Tensor]), numbers);
      device.run('sum_rows', [dRate.buffer, perRow.buffer], [rows, H]);
      device.run('sum_rows', [dTime.buffer, dz.buffer], [rows, H * E]);
      return [dz, dRate, dTime];
    });
  }
  return g;
}
