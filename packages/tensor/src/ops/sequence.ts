/** @file Ops along time: positions, short convolution, the two linear-attention recurrences. */
import { record, recording } from '../autograd.ts';
import type { Device } from '../device.ts';
import type { KernelName } from '../kernels.ts';
import { ShapeError, Tensor } from '../tensor.ts';

/** Rows per chunk of the recurrences, as compiled into the kernels. */
export const CHUNK = 64;

/**
 * Position of each token in its segment, [B, T]. A 0 starts a segment: recurrences reset their state there and
 * convolutions do not look across. In streaming, positions go on from block to block.
 */
export class Positions {
  readonly tensor: Tensor;
  readonly B: number;
  readonly T: number;
  #values: Int32Array;
  #maxChunks = 0;
  #maxSegments = 0;

  constructor(device: Device, B: number, T: number, values: Int32Array) {
    this.tensor = Tensor.from(device, [B, T], values, 'int');
    this.#values = values;
    this.B = B;
    this.T = T;
  }

  /** Other positions of the same shape, as for the next block of a recorded step. @throws ShapeError */
  write(values: Int32Array): void {
    this.tensor.write(values);
    this.#values = values;
    this.#maxChunks = 0;
  }

  /** Chunks of the most divided row: chunks end every CHUNK tokens and at segment starts. */
  get maxChunks(): number {
    if (this.#maxChunks === 0) {
      for (let b = 0; b < this.B; b++) {
        let chunks = 0;
        for (let t = 0, start = 0; t < this.T; t++) {
          if (t === 0 || t - start === CHUNK || this.#values[b * this.T + t] === 0) {
            chunks++;
            start = t;
          }
        }
        this.#maxChunks = Math.max(this.#maxChunks, chunks);
      }
    }
    return this.#maxChunks;
  }

  /** Pieces of the most divided row, cut wherever a position is a multiple of CHUNK. */
  get maxSegments(): number {
    if (this.#maxSegments === 0) {
      for (let b = 0; b < this.B; b++) {
        let pieces = 0;
        for (let t = 0; t < this.T; t++) {
          if (t === 0 || (this.#values[b * this.T + t] as number) % CHUNK === 0) pieces++;
        }
        this.#maxSegments = Math.max(this.#maxSegments, pieces);
      }
    }
    return this.#maxSegments;
  }
}

/**
 * silu of a causal depthwise convolution: x [B, T, D], w [D, 1, W] -> y [B, T, D].
 * @param state the last W-1 inputs of the block before, [B, W-1, D], or null for zeros.
 * @returns `state` for the next block.
 */
export function shortConv(
  x: Tensor,
  w: Tensor,
  state: Tensor | null,
  positions: Positions | null,
): { y: Tensor; state: Tensor } {
  const [B, T, D] = x.shape as [number, number, number];
  const width = w.size / D;
  if (w.dim(0) !== D) throw new ShapeError(`shortConv: weight [${w.shape}] for x [${x.shape}]`);
  const numbers = [B, T, D, width];
  const y = Tensor.empty(x.device, x.shape);
  const next = Tensor.empty(x.device, [B, width - 1, D]);
  const tail = [state?.buffer ?? null, positions?.tensor.buffer ?? null];
  x.device.run('short_conv', [y.buffer, next.buffer, x.buffer, w.buffer, ...tail], numbers);
  if (recording([x, w])) {
    record([x, w], [y], ([d]) => {
      const [dx, dw, work] = [
        Tensor.empty(x.device, x.shape),
        Tensor.empty(x.device, w.shape),
        Tensor.empty(x.device, x.shape),
      ];
      const buffers = [dx.buffer, dw.buffer, x.buffer, w.buffer, ...tail, (d as Tensor).buffer, work.buffer];
      x.device.run('short_conv_backward', buffers, numbers);
      return [dx, dw];
    });
  }
  return { y, state: next };
}

/** α = (1 − e^(−β|k|²)) / |k|² with β = softplus(z): the exact zero-order-hold write gate. z [B,T,H], k [B,T,H,E]. */
export function exactGate(z: Tensor, k: Tensor): Tensor {
  const E = k.dim(-1);
  if (z.size * E !== k.size) throw new ShapeError(`exactGate: z [${z.shape}] for k [${k.shape}]`);
  const alpha = Tensor.empty(z.device, z.shape);
  z.device.run('exact_gate', [alpha.buffer, z.buffer, k.buffer], [z.size, E]);
  if (recording([z, k])) {
    record([z, k], [alpha], ([d]) => {
      const [dz, dk] = [Tensor.empty(z.device, z.shape), Tensor.empty(z.device, k.shape)];
      z.device.run(
        'exact_gate_backward',
        [dz, dk, z, k, d as Tensor].map((t) => t.buffer),
        [z.size, E],
      );
      return [dz, dk];
    });
  }
  return alpha;
}

export interface Recurrence {
  /** [B, T, H, dv] */
  out: Tensor;
  /** State after the last token, [B, H, dk, dv]. */
  state: Tensor;
}

function recurrence(
  kernel: 'delta_rule' | 'gla',
  backward: KernelName,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  gate: Tensor,
  gateWidth: number,
  state: Tensor | null,
  positions: Positions | null,
): Recurrence {
  const [B, T, H, dk] = q.shape as [number, number, number, number];
  const dv = v.dim(-1);
  if (k.size !== q.size || v.size !== B * T * H * dv || gate.size !== B * T * H * gateWidth) {
    throw new ShapeError(
      `${kernel}: q [${q.shape}] · k [${k.shape}] · v [${v.shape}] · gate [${gate.shape}] do not fit`,
    );
  }
  if (dk % 16 !== 0 || dv % 16 !== 0)
    throw new ShapeError(`${kernel}: head widths must be multiples of 16, got ${dk} and ${dv}`);
  if (state && state.size !== B * H * dk * dv)
    throw new ShapeError(`${kernel}: state [${state.shape}], expected [${[B, H, dk, dv]}]`);
  const chunks = positions?.maxChunks ?? Math.ceil(T / CHUNK);
  const numbers = [B, T, H, dk, dv, chunks];
  const inputs = [q, k, v, gate, state];
  const save = recording(inputs);
  const out = Tensor.empty(q.device, [B, T, H, dv]);
  const end = Tensor.empty(q.device, [B, H, dk, dv]);
  const saved = save ? Tensor.empty(q.device, [B, H, chunks, dk, dv]) : null;
  const buffers = [out, end, saved, q, k, v, gate, state, positions?.tensor ?? null].map((t) => t?.buffer ?? null);
  q.device.run(kernel, buffers, numbers);
  if (save) {
    record(inputs, [out, end], ([dOut, dEnd]) => {
      const like = (t: Tensor) => Tensor.empty(q.device, t.shape);
      const [dq, dkk, dvv, dGate, dState] = [like(q), like(k), like(v), like(gate), state ? like(state) : null];
      const d = dOut ?? Tensor.zeros(q.device, out.shape);
      const all = [dq, dkk, dvv, dGate, dState, saved, q, k, v, gate, positions?.tensor ?? null, d, dEnd];
      q.device.run(
        backward,
        all.map((t) => t?.buffer ?? null),
        numbers,
      );
      return [dq, dkk, dvv, dGate, dState];
    });
  }
  return { out, state: end };
}

/** S ← S + α k (v − Sᵀk)ᵀ, o = Sᵀq. q, k [B,T,H,dk], v [B,T,H,dv], alpha [B,T,H]; starts from `state` [B,H,dk,dv] or zeros. */
export function deltaRule(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  alpha: Tensor,
  state: Tensor | null,
  positions: Positions | null,
): Recurrence {
  return recurrence('delta_rule', 'delta_rule_backward', q, k, v, alpha, 1, state, positions);
}

/** S ← diag(eᵍ) S + k vᵀ, o = Sᵀq, g <= 0. q, k, g [B,T,H,dk], v [B,T,H,dv]; starts from `state` [B,H,dk,dv] or zeros. */
export function gla(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  logDecay: Tensor,
  state: Tensor | null,
  positions: Positions | null,
): Recurrence {
  return recurrence('gla', 'gla_backward', q, k, v, logDecay, q.dim(-1), state, positions);
}
