/** @file Slot attention (Raven) and its router: a recurrent memory of M slots per head. Architecture §3.7. */
import { record, recording } from '../autograd.ts';
import { ShapeError, Tensor } from '../tensor.ts';
import { CHUNK, type Positions } from './sequence.ts';

/** Keys [B, H, M, dk] and values [B, H, M, dv] of the slots. */
export interface Slots {
  keys: Tensor;
  values: Tensor;
}

const buffersOf = (tensors: (Tensor | null)[]) => tensors.map((t) => t?.buffer ?? null);

/**
 * Log decays of the slots, g = f·w <= 0, [B, T, H, M]: scores p = σ(logits), the `chosen` best slots (by p + bias; ties go
 * to the lowest index), w = p / (Σ chosen p + 1e-9), f = −e^A·softplus(z + dt). Slots that are not chosen get exactly 0.
 * @param logits [B, T, H, M]
 * @param z [B, T, H]
 * @param logRate A, [H]
 * @param timeBias dt, [H]
 * @param bias [H, M], steers the choice, never the weights; or null
 */
export function slotGates(
  logits: Tensor,
  z: Tensor,
  logRate: Tensor,
  timeBias: Tensor,
  bias: Tensor | null,
  chosen: number,
): Tensor {
  const [H, M] = [logits.dim(-2), logits.dim(-1)];
  if (z.size * M !== logits.size || logRate.size !== H || timeBias.size !== H || (bias && bias.size !== H * M))
    throw new ShapeError(`slotGates: logits [${logits.shape}] · z [${z.shape}] · rate [${logRate.shape}] do not fit`);
  if (chosen < 1 || chosen > M) throw new ShapeError(`slotGates: ${chosen} of ${M} slots`);
  const { device } = logits;
  const tokens = z.size / H;
  const numbers = [tokens, H, M, chosen];
  const g = Tensor.empty(device, logits.shape);
  device.run('slot_gates', buffersOf([g, logits, z, logRate, timeBias, bias]), numbers);
  if (recording([logits, z, logRate, timeBias])) {
    record([logits, z, logRate, timeBias], [g], ([d]) => {
      const [dLogits, dz, rows] = [logits, z, z].map((x) => Tensor.empty(device, x.shape)) as [Tensor, Tensor, Tensor];
      const tensors = [dLogits, dz, rows, logits, z, logRate, timeBias, bias, d as Tensor];
      device.run('slot_gates_backward', buffersOf(tensors), numbers);
      const [dRate, dTime] = [Tensor.empty(device, logRate.shape), Tensor.empty(device, timeBias.shape)];
      device.run('sum_rows', [dRate.buffer, rows.buffer], [tokens, H]);
      device.run('sum_rows', [dTime.buffer, dz.buffer], [tokens, H]);
      return [dLogits, dz, dRate, dTime];
    });
  }
  return g;
}

/**
 * K ← diag(eᵍ) K + s kᵀ, V ← diag(eᵍ) V + s vᵀ with s = 1 − eᵍ, o = Vᵀ softmax(K q). q [B, T, H, dk]; k [B, T, Hk, dk] and
 * v [B, T, Hk, dv], each read by H/Hk query heads; logDecay g <= 0 [B, T, H, M]. Widths and M must be multiples of 16.
 * A slot with g = 0 keeps its bits. Starts from `state` or zeros; gives out [B, T, H, dv] and the state after the last token.
 */
export function slotAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  logDecay: Tensor,
  state: Slots | null,
  positions: Positions | null,
): { out: Tensor; state: Slots } {
  const [B, T, H, dk] = q.shape as [number, number, number, number];
  const [Hk, dv, M] = [k.dim(2), v.dim(-1), logDecay.dim(-1)];
  const fits =
    H % Hk === 0 &&
    k.size === B * T * Hk * dk &&
    v.size === B * T * Hk * dv &&
    logDecay.size === B * T * H * M &&
    (!state || (state.keys.size === B * H * M * dk && state.values.size === B * H * M * dv)) &&
    (!positions || (positions.B === B && positions.T === T));
  if (!fits)
    throw new ShapeError(
      `slotAttention: q [${q.shape}] · k [${k.shape}] · v [${v.shape}] · decay [${logDecay.shape}] · state ` +
        `[${state?.keys.shape}] and [${state?.values.shape}] do not fit`,
    );
  if (dk % 16 !== 0 || dv % 16 !== 0 || M % 16 !== 0)
    throw new ShapeError(`slotAttention: head widths and slots must be multiples of 16, got ${dk}, ${dv} and ${M}`);
  const { device } = q;
  const chunks = positions?.chunks(CHUNK) ?? Math.ceil(T / CHUNK);
  const numbers = [B, T, H, Hk, M, dk, dv, chunks];
  const inputs = [q, k, v, logDecay, state?.keys ?? null, state?.values ?? null];
  const save = recording(inputs);
  const empty = (...shape: number[]) => Tensor.empty(device, shape);
  const out = empty(B, T, H, dv);
  const end = { keys: empty(B, H, M, dk), values: empty(B, H, M, dv) };
  const saved = save ? [empty(B, H, chunks, dk, M), empty(B, H, chunks, M, dv)] : [null, null];
  const at = positions?.tensor ?? null;
  device.run('slot_attention', buffersOf([out, end.keys, end.values, ...saved, ...inputs, at]), numbers);
  if (save) {
    record(inputs, [out, end.keys, end.values], ([dOut, dKeys, dValues]) => {
      const gradients = inputs.map((x) => x && Tensor.empty(device, x.shape));
      const d = dOut ?? Tensor.zeros(device, out.shape);
      const tensors = [...gradients, ...saved, q, k, v, logDecay, at, d, dKeys ?? null, dValues ?? null];
      device.run('slot_attention_backward', buffersOf(tensors), numbers);
      return gradients;
    });
  }
  return { out, state: end };
}
