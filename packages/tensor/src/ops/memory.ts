/** @file Latent memory: what a document's completed segments of 64 tokens wrote, read by the tokens after them. §3.8. */
import { record, recording } from '../autograd.ts';
import { ShapeError, Tensor } from '../tensor.ts';
import { CHUNK, type Positions } from './sequence.ts';

/** Parameters of the memory: D channels, K rows. */
export interface MemoryWeights {
  /** [D]: how much each token counts in its segment's summary. */
  query: Tensor;
  /** [D]: σ of it is the writing strength per channel. */
  channels: Tensor;
  /** [1]: addresses are sharpened by e^temperature. */
  temperature: Tensor;
  /** [K, D]: the memory at the start of a document. */
  initial: Tensor;
}

export interface MemoryState {
  /** [B, K, D] */
  memory: Tensor;
  /** Rows of the segment that is not complete, [B, 63, D + 1]; the last column is the saliency, -1 where there is no row. */
  open: Tensor;
}

/**
 * C_t = softmax(2 Q_t Mᵀ) M, with M as it was before the token's segment. A completed segment writes
 * M_k ← (1 − a_k γ) ⊙ M_k + a_k γ ⊙ Z, where Z = Σ softmax(query·m/√D) m, γ = max η · σ(channels) and
 * a = softmax(Z Mᵀ e^temperature/√D). Segments are 64 tokens, counted from the start of the document (position 0), where M
 * is reset. Gradients reach the carried memory, not the carried rows of an open segment.
 * @param m what tokens add to summaries, [B, T, D]
 * @param eta saliency, in [0, 1], [B, T]
 * @param q [B, T, D]
 * @param state from the block before; needs `positions`
 * @returns out [B, T, D]. D and K must be multiples of 16.
 */
export function latentMemory(
  m: Tensor,
  eta: Tensor,
  q: Tensor,
  weights: MemoryWeights,
  state: MemoryState | null,
  positions: Positions | null,
): { out: Tensor; state: MemoryState } {
  const [B, T, D] = m.shape as [number, number, number];
  const { query, channels, temperature, initial } = weights;
  const K = initial.size / D;
  const openShape = [B, CHUNK - 1, D + 1];
  const fits =
    eta.size === B * T &&
    q.size === m.size &&
    query.size === D &&
    channels.size === D &&
    temperature.size === 1 &&
    initial.dim(-1) === D &&
    (!state || (state.memory.size === B * K * D && state.open.size === B * (CHUNK - 1) * (D + 1))) &&
    (!positions || (positions.B === B && positions.T === T));
  if (!fits)
    throw new ShapeError(
      `latentMemory: m [${m.shape}] · eta [${eta.shape}] · q [${q.shape}] · initial [${initial.shape}] · state ` +
        `[${state?.memory.shape}] and [${state?.open.shape}] do not fit`,
    );
  if (K % 16 !== 0 || D % 16 !== 0)
    throw new ShapeError(`latentMemory: rows and channels must be multiples of 16, got ${K} and ${D}`);
  if (state && !positions) throw new ShapeError('latentMemory: a carried state needs positions');
  const { device } = m;
  const pieces = positions?.maxSegments ?? Math.ceil(T / CHUNK);
  const numbers = [B, T, K, D, pieces];
  const empty = (...shape: number[]) => Tensor.empty(device, shape);
  const run = (kernel: 'latent_memory' | 'latent_memory_backward', tensors: (Tensor | null)[]) =>
    device.run(
      kernel,
      tensors.map((t) => t?.buffer ?? null),
      numbers,
    );
  const out = empty(B, T, D);
  const end = { memory: empty(B, K, D), open: Tensor.empty(device, openShape) };
  const states = empty(B, pieces, K, D);
  const parameters = [query, channels, temperature];
  const [start, open, at] = [state?.memory ?? null, state?.open ?? null, positions?.tensor ?? null];
  run('latent_memory', [out, end.memory, end.open, states, m, eta, q, ...parameters, initial, start, open, at]);
  const inputs = [m, eta, q, ...parameters, initial, start];
  if (recording(inputs)) {
    record(inputs, [out, end.memory], ([dOut, dMemory]) => {
      const gradients = inputs.map((x) => x && Tensor.empty(device, x.shape));
      const d = dOut ?? Tensor.zeros(device, out.shape);
      const work = empty(B, pieces, K, D);
      run('latent_memory_backward', [
        ...gradients,
        ...[states, m, eta, q, ...parameters, open, at, d, dMemory ?? null, work],
      ]);
      return gradients;
    });
  }
  return { out, state: end };
}
