/** @file Sums, products, scalings and pointwise functions; no broadcasting but a bias over the last axis. */
import { record, recording } from '../autograd.ts';
import { type Shape, ShapeError, sizeOf, Tensor } from '../tensor.ts';

function sameSize(op: string, a: Tensor, b: Tensor): void {
  if (a.size !== b.size) throw new ShapeError(`${op}: sizes differ: a [${a.shape}] · b [${b.shape}]`);
}

/** s·x + t·y elementwise. */
export function axpby(s: number, x: Tensor, t: number, y: Tensor): Tensor {
  sameSize('axpby', x, y);
  const out = Tensor.empty(x.device, x.shape);
  x.device.run('axpby', [out.buffer, x.buffer, y.buffer], [x.size, s, t]);
  if (recording([x, y])) record([x, y], [out], ([d]) => [times(d as Tensor, s), times(d as Tensor, t)]);
  return out;
}

function times(x: Tensor, s: number): Tensor {
  if (s === 1) return x;
  const out = Tensor.empty(x.device, x.shape);
  x.device.run('axpby', [out.buffer, x.buffer, null], [x.size, s, 0]);
  return out;
}

export function add(x: Tensor, y: Tensor): Tensor {
  return axpby(1, x, 1, y);
}

/** s·x + t. */
export function scale(x: Tensor, s: number, t = 0): Tensor {
  const out = Tensor.empty(x.device, x.shape);
  x.device.run('axpby', [out.buffer, x.buffer, null], [x.size, s, t]);
  if (recording([x])) record([x], [out], ([d]) => [times(d as Tensor, s)]);
  return out;
}

/** x ⊙ y. */
export function multiply(x: Tensor, y: Tensor): Tensor {
  sameSize('multiply', x, y);
  const product = (a: Tensor, b: Tensor) => {
    const out = Tensor.empty(x.device, x.shape);
    x.device.run('multiply', [out.buffer, a.buffer, b.buffer], [x.size]);
    return out;
  };
  const out = product(x, y);
  if (recording([x, y])) record([x, y], [out], ([d]) => [product(d as Tensor, y), product(d as Tensor, x)]);
  return out;
}

/** x as it is; its gradient times s (architecture §3.10). Shares memory. */
export function scaleGrad(x: Tensor, s: number): Tensor {
  const view = new Tensor(x.device, x.shape, x.buffer);
  if (recording([x])) record([x], [view], ([d]) => [times(d as Tensor, s)]);
  return view;
}

/**
 * x within [low, high]; no gradient beyond. NaN stays NaN unless `nanToZero`, for public layers that hide it.
 */
export function clamp(x: Tensor, low: number, high: number, { nanToZero = false } = {}): Tensor {
  const out = Tensor.empty(x.device, x.shape);
  x.device.run('clamp', [out.buffer, x.buffer], [x.size, low, high, nanToZero ? 1 : 0]);
  if (recording([x])) {
    record([x], [out], ([d]) => {
      const dx = Tensor.empty(x.device, x.shape);
      x.device.run('clamp_backward', [dx.buffer, x.buffer, (d as Tensor).buffer], [x.size, low, high]);
      return [dx];
    });
  }
  return out;
}

const UNARY = { silu: 0, sigmoid: 1, softplus: 2, logSigmoid: 3 } as const;

function unary(name: keyof typeof UNARY, x: Tensor): Tensor {
  const out = Tensor.empty(x.device, x.shape);
  x.device.run('unary', [out.buffer, x.buffer], [x.size, UNARY[name]]);
  if (recording([x])) {
    record([x], [out], ([d]) => {
      const dx = Tensor.empty(x.device, x.shape);
      x.device.run('unary_backward', [dx.buffer, x.buffer, (d as Tensor).buffer], [x.size, UNARY[name]]);
      return [dx];
    });
  }
  return out;
}

/** x·σ(x). */
export const silu = (x: Tensor): Tensor => unary('silu', x);
export const sigmoid = (x: Tensor): Tensor => unary('sigmoid', x);
/** log(1 + eˣ). */
export const softplus = (x: Tensor): Tensor => unary('softplus', x);
/** log σ(x), never positive. */
export const logSigmoid = (x: Tensor): Tensor => unary('logSigmoid', x);

/** x[..., N] + bias[N]. */
export function addBias(x: Tensor, bias: Tensor): Tensor {
  const n = bias.size;
  if (x.dim(-1) !== n) throw new ShapeError(`addBias: last axis of [${x.shape}] is not bias [${bias.shape}]`);
  const { rows } = x;
  const out = Tensor.empty(x.device, x.shape);
  x.device.run('add_bias', [out.buffer, x.buffer, bias.buffer], [rows, n]);
  if (recording([x, bias])) {
    record([x, bias], [out], ([d]) => {
      const db = Tensor.empty(x.device, bias.shape);
      x.device.run('sum_rows', [db.buffer, (d as Tensor).buffer], [rows, n]);
      return [d as Tensor, db];
    });
  }
  return out;
}

/** x[..., N] ⊙ w[N]. @throws ShapeError */
export function scaleColumns(x: Tensor, w: Tensor): Tensor {
  const n = w.size;
  if (x.dim(-1) !== n) throw new ShapeError(`scaleColumns: last axis of [${x.shape}] is not factors [${w.shape}]`);
  const { device, rows } = x;
  const scaled = (from: Tensor) => {
    const out = Tensor.empty(device, x.shape);
    device.run('scale_columns', [out.buffer, from.buffer, w.buffer], [rows, n]);
    return out;
  };
  const out = scaled(x);
  if (recording([x, w])) {
    record([x, w], [out], ([d]) => {
      const [product, dw] = [Tensor.empty(device, x.shape), Tensor.empty(device, w.shape)];
      device.run('multiply', [product.buffer, (d as Tensor).buffer, x.buffer], [x.size]);
      device.run('sum_rows', [dw.buffer, product.buffer], [rows, n]);
      return [scaled(d as Tensor), dw];
    });
  }
  return out;
}

/** The same values under another shape; shares memory. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  if (sizeOf(shape) !== x.size) throw new ShapeError(`reshape: [${x.shape}] does not fit [${shape}]`);
  const view = new Tensor(x.device, [...shape], x.buffer);
  if (recording([x])) record([x], [view], ([d]) => [new Tensor(x.device, x.shape, (d as Tensor).buffer)]);
  return view;
}

/** silu(gate) ⊙ up, where one tensor [..., 2F] holds gate then up, or two of [..., F] hold one each. */
export function swiglu(gate: Tensor, up: Tensor | null = null): Tensor {
  const width = up ? gate.dim(-1) : gate.dim(-1) / 2;
  if (!Number.isInteger(width)) throw new ShapeError(`swiglu: [${gate.shape}] has no two halves`);
  if (up) sameSize('swiglu', gate, up);
  const { rows } = gate;
  const out = Tensor.empty(gate.device, [...gate.shape.slice(0, -1), width]);
  gate.device.run('swiglu', [out.buffer, gate.buffer, up?.buffer ?? null], [rows, width]);
  if (recording([gate, up])) {
    record([gate, up], [out], ([d]) => {
      const dGate = Tensor.empty(gate.device, gate.shape);
      const dUp = up ? Tensor.empty(gate.device, up.shape) : null;
      const buffers = [dGate.buffer, dUp?.buffer ?? null, gate.buffer, up?.buffer ?? null, (d as Tensor).buffer];
      gate.device.run('swiglu_backward', buffers, [rows, width]);
      return [dGate, dUp];
    });
  }
  return out;
}

/** x ⊙ σ(gate). @throws ShapeError */
export function sigmoidGate(x: Tensor, gate: Tensor): Tensor {
  sameSize('sigmoidGate', x, gate);
  const { device, size } = x;
  const y = Tensor.empty(device, x.shape);
  device.run('sigmoid_gate', [y.buffer, x.buffer, gate.buffer], [size]);
  if (recording([x, gate])) {
    record([x, gate], [y], ([d]) => {
      const [dx, dGate] = [Tensor.empty(device, x.shape), Tensor.empty(device, gate.shape)];
      const buffers = [dx, dGate, x, gate, d as Tensor].map((t) => t.buffer);
      device.run('sigmoid_gate_backward', buffers, [size]);
      return [dx, dGate];
    });
  }
  return y;
}

/** scale·Σ x·y as one element, for weighted means of per-row losses; y is a constant. */
export function weightedSum(x: Tensor, y: Tensor, factor = 1): Tensor {
  sameSize('weightedSum', x, y);
  const out = Tensor.empty(x.device, [1]);
  x.device.run('dot', [out.buffer, x.buffer, y.buffer], [x.size, factor]);
  if (recording([x])) {
    // The seed gradient of a loss term is one number on the device: y times it, by an outer product of width one.
    record([x, y], [out], ([d]) => {
      const dx = Tensor.empty(x.device, x.shape);
      const scaled = times(y, factor);
      x.device.run('gemm', [scaled.buffer, (d as Tensor).buffer, dx.buffer], [x.size, 1, 1, 0, 0, 0, 1, 0, 0, 0]);
      return [dx, null];
    });
  }
  return out;
}
