/**
 * @file Latent memory beside the GLA layers (architecture §3.8): completed segments of 64 tokens write a summary into K
 * rows of M channels, later tokens read them by attention:
 *   a ← a + σ(W_α u + b_α) · C_to_hidden C,  C_t = softmax(2 Q_t Mᵀ) M
 * `compress_z` and two thirds of `W_qkv_mem` are in public checkpoints and take no part.
 */
import { QuasarError, Rng } from '@quasar/base';
import {
  add,
  attention,
  axpby,
  concat,
  type Device,
  gatherRows,
  l2Norm,
  latentMemory,
  layerNorm,
  linear,
  multiply,
  Positions,
  persist,
  recording,
  reshape,
  scale,
  sigmoid,
  slice,
  Tensor,
  weightedSum,
} from '@quasar/tensor';
import { optionsOf, type QuasarConfig } from '../families/quasar/config.ts';
import { orthogonalRows } from '../orthogonal.ts';
import type { LayerContext } from './context.ts';

const INPUT_NORM_EPS = 1e-5;
const SEGMENT = 64;
/** Weights of the public losses: against large writes, and against rows that become alike. */
const WRITE_LOSS = 0.01;
const DIVERSITY_LOSS = 0.1;

export interface MemoryOutput {
  /** [B, T, D], to be added to the output of attention. */
  y: Tensor;
  /** One element; null when not wanted. */
  loss: Tensor | null;
}

/** u [B, T, D]. @throws QuasarError model.unsupported when the public form is to be trained */
export function readMemory(u: Tensor, c: LayerContext<QuasarConfig>): MemoryOutput {
  const [B, T] = u.shape as [number, number, number];
  const M = c.config.memory_dim;
  const h = layerNorm(u, c.weight('memory.input_norm.weight'), c.weight('memory.input_norm.bias'), INPUT_NORM_EPS);
  const m = linear(h, c.weight('memory.summary_proj.weight'), c.weight('memory.summary_proj.bias')); // [B, T, M]
  const eta = sigmoid(linear(h, c.weight('memory.W_eta.weight'), c.weight('memory.W_eta.bias'))); // [B, T, 1]
  const { read, loss } =
    optionsOf(c.config).memory_mode === 'causal' ? causalRead(h, m, eta, c) : publicRead(m, eta, c);
  const gate = sigmoid(linear(u, c.weight('W_alpha.weight'), c.weight('W_alpha.bias'))); // [B, T, 1]
  // The gate is one number per token: it scales the M channels that were read, before they are mapped to D.
  const gates = linear(gate, Tensor.filled(u.device, [M, 1], 1));
  return { y: linear(multiply(reshape(read, [B, T, M]), gates), c.weight('C_to_hidden.weight')), loss };
}

function causalRead(h: Tensor, m: Tensor, eta: Tensor, c: LayerContext<QuasarConfig>) {
  const { device } = h;
  const [B, T, M] = m.shape as [number, number, number];
  const { memory_slots: K } = c.config;
  const qkv = linear(h, c.weight('memory.W_qkv_mem.weight')); // [B, T, 3M]
  const q = slice(qkv, -1, 2 * M, 3 * M);
  const initial = optionsOf(c.config).memory_bank === 'learned' ? c.weight('memory.M0') : fixedBank(device, K, M);
  const weights = {
    query: c.weight('memory.summary_query'),
    channels: c.weight('memory.eta_channels'),
    temperature: c.weight('memory.temperature'),
    initial,
  };
  const [memory, open] = [c.load('M'), c.load('open')];
  const before = memory && open && { memory, open };
  const { out, state } = latentMemory(m, eta, q, weights, before, c.positions);
  c.save('M', state.memory);
  c.save('open', state.open);
  if (!c.auxLosses) return { read: out, loss: null };
  const start = memory ?? concat(new Array<Tensor>(B).fill(reshape(initial, [1, K, M])), 0);
  return { read: out, loss: memoryLoss(start, state.memory, Math.ceil(T / SEGMENT)) };
}

/**
 * 0.01 ‖ΔM‖²/segments + 0.1 mean cos²(M_k, M_l), mean over the batch, where ΔM is what the block changed: the public loss
 * carried over to the causal form. Of packed rows it sees the last document. Both memories [B, K, M].
 */
function memoryLoss(start: Tensor, end: Tensor, segments: number): Tensor {
  const [B, K, M] = end.shape as [number, number, number];
  const squares = (x: Tensor, factor: number) =>
    weightedSum(multiply(x, x), Tensor.filled(x.device, x.shape, 1), factor);
  let loss = squares(axpby(1, end, -1, start), WRITE_LOSS / (segments * B));
  const unit = l2Norm(end);
  for (let b = 0; b < B; b++) {
    const rows = reshape(slice(unit, 0, b, b + 1), [K, M]);
    loss = add(loss, squares(linear(rows, rows), DIVERSITY_LOSS / (K * K * B)));
  }
  return loss;
}

/**
 * The public form of a whole call: every segment writes at once into a memory of zeros, and every token reads the result.
 * All rows of that memory stay alike (all addresses are 1/K), so every token reads the same: the mean over the segments
 * of η_s Z_s / K. It sees the future and depends on how a text is cut into calls.
 */
function publicRead(m: Tensor, eta: Tensor, c: LayerContext<QuasarConfig>): { read: Tensor; loss: null } {
  const { device } = m;
  if (recording([m])) {
    throw new QuasarError('model.unsupported', 'forward: memory_mode compat is not causal and cannot be trained', {
      hint: 'set memory_mode to causal, or remove it from config.json',
    });
  }
  const [B, T, M] = m.shape as [number, number, number];
  const S = Math.ceil(T / SEGMENT);
  const ints = (length: number, value: (i: number) => number) =>
    Tensor.from(
      device,
      [length],
      Int32Array.from({ length }, (_, i) => value(i)),
      'int',
    );
  const inSegment = new Positions(
    device,
    B,
    T,
    Int32Array.from({ length: B * T }, (_, i) => (i % T) % SEGMENT),
  );
  const heads = (x: Tensor, length: number) => reshape(x, [B, length, 1, M]);
  const repeated = (row: Tensor, times: number) =>
    gatherRows(
      reshape(row, [1, M]),
      ints(times, () => 0),
    );
  // One head, the same query everywhere: the last token of a segment has the softmax over its segment.
  const query = heads(repeated(c.weight('memory.summary_query'), B * T), T);
  const Z = attention(query, heads(m, T), heads(m, T), inSegment);
  // The largest η of a segment: a softmax so sharp that rounding is all that is left of the others.
  const saliency = heads(linear(eta, Tensor.filled(device, [M, 1], 1)), T);
  const strongest = attention(Tensor.filled(device, [B, T, 1, M], 1 / M), saliency, saliency, inSegment, {
    scale: 1e10,
  });
  const ends = ints(B * S, (i) => Math.floor(i / S) * T + Math.min(T, ((i % S) + 1) * SEGMENT) - 1);
  const written = multiply(gatherRows(reshape(Z, [B * T, M]), ends), gatherRows(reshape(strongest, [B * T, M]), ends));
  // A mean over segments: attention of the last one with equal scores.
  const zeros = Tensor.zeros(device, [B, S, 1, M]);
  const mean = reshape(attention(zeros, zeros, heads(written, S), null), [B * S, M]);
  const perToken = gatherRows(
    mean,
    ints(B * T, (i) => Math.floor(i / T) * S + S - 1),
  );
  return { read: scale(perToken, 1 / c.config.memory_slots), loss: null };
}

const banks = new WeakMap<Device, Map<string, Tensor>>();

/** Memory at the start of a document for checkpoints without one: the same orthogonal rows in every layer and model. */
function fixedBank(device: Device, K: number, M: number): Tensor {
  const ofDevice = banks.get(device) ?? new Map<string, Tensor>();
  banks.set(device, ofDevice);
  let bank = ofDevice.get(`${K}x${M}`);
  if (!bank) {
    bank = persist(Tensor.from(device, [K, M], fixedMemoryBank(K, M)));
    ofDevice.set(`${K}x${M}`, bank);
  }
  return bank;
}

/** Values of the fixed bank, [K, M]. */
export function fixedMemoryBank(K: number, M: number): Float32Array {
  return Float32Array.from(orthogonalRows(K, M, new Rng('quasar latent memory')));
}
