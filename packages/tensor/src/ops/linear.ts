/** @file y = x Wᵀ, with weights stored [out, in] as checkpoints store them, in any storage type; gradients are floats. */
import { record, recording } from '../autograd.ts';
import { typeCode } from '../kernels.ts';
import { ShapeError, Tensor } from '../tensor.ts';

/**
 * x [..., in] · w [out, in], plus a bias [out] and a tensor `plus` [..., out] such as the stream that a layer adds to, where
 * there are any -> [..., out]. @throws ShapeError
 */
export function linear(x: Tensor, w: Tensor, bias: Tensor | null = null, plus: Tensor | null = null): Tensor {
  const { rows, inner, out } = extents('linear', x, w);
  if (plus && plus.size !== rows * out) throw new ShapeError(`linear: [${plus.shape}] added to ${rows} rows of ${out}`);
  if (bias && bias.size !== out) throw new ShapeError(`linear: bias [${bias.shape}] for weights [${w.shape}]`);
  const y = Tensor.empty(x.device, [...x.shape.slice(0, -1), out]);
  gemm([x, w, y, bias, plus], [rows, out, inner], { transposeB: true });
  if (recording([x, w, bias, plus])) {
    record([x, w, bias, plus], [y], ([d], sumOf) => {
      const dy = d as Tensor;
      let dx: Tensor | null = null;
      let db: Tensor | null = null;
      if (x.requiresGrad) {
        const sum = sumOf(0);
        dx = sum ?? Tensor.empty(x.device, x.shape);
        gemm([dy, w, dx], [rows, inner, out], { accumulate: sum !== null });
      }
      if (bias?.requiresGrad) {
        db = Tensor.empty(x.device, bias.shape);
        x.device.run('sum_rows', [db.buffer, dy.buffer], [rows, out]);
      }
      return [dx, w.requiresGrad ? weightGradient(dy, x, w) : null, db, dy];
    });
  }
  return y;
}

/**
 * (silu(x Wgᵀ) ⊙ (x Wuᵀ)) Wdᵀ, plus a tensor `plus` where there is one: x [..., in], Wg and Wu [width, in] of one storage type,
 * Wd [out, width] -> [..., out]. Products of the width are kept only where a backward pass will need them, which leaves their
 * gradients in their place. Source: SwiGLU (Shazeer 2020). @throws ShapeError
 */
export function swigluFeedForward(
  x: Tensor,
  wGate: Tensor,
  wUp: Tensor,
  wDown: Tensor,
  plus: Tensor | null = null,
): Tensor {
  const { rows, inner, out: width } = extents('swigluFeedForward', x, wGate);
  if (wUp.dim(0) !== width || wUp.dim(1) !== inner || wUp.dtype !== wGate.dtype)
    throw new ShapeError(
      `swigluFeedForward: gate is ${wGate.dtype} [${wGate.shape}], up is ${wUp.dtype} [${wUp.shape}]; they must agree`,
    );
  const device = x.device;
  const wide = [...x.shape.slice(0, -1), width];
  const { out } = extents('swigluFeedForward', { shape: wide, rows }, wDown);
  if (plus && plus.size !== rows * out)
    throw new ShapeError(`swigluFeedForward: [${plus.shape}] added to ${rows} rows of ${out}`);
  const inputs = [x, wGate, wUp, wDown, plus];
  const kept = recording(inputs) ? { gate: Tensor.empty(device, wide), up: Tensor.empty(device, wide) } : null;
  const y = Tensor.empty(device, wide);
  device.run(
    'gemm_swiglu',
    [y.buffer, kept?.gate.buffer ?? null, kept?.up.buffer ?? null, x.buffer, wGate.buffer, wUp.buffer],
    [rows, width, inner, typeCode(wGate.dtype)],
  );
  const result = Tensor.empty(device, [...x.shape.slice(0, -1), out]);
  gemm([y, wDown, result, null, plus], [rows, out, width], { transposeB: true });
  if (!kept) {
    y.dispose();
    return result;
  }
  const { gate, up } = kept;
  record(inputs, [result], ([given], sumOf) => {
    const d = given as Tensor;
    const dDown = wDown.requiresGrad ? weightGradient(d, y, wDown) : null;
    y.dispose();
    const buffers = [gate, up, gate, up, d, wDown].map((t) => t.buffer);
    device.run('gemm_swiglu_backward', buffers, [rows, width, out, typeCode(wDown.dtype)]);
    let dx: Tensor | null = null;
    if (x.requiresGrad) {
      const sum = sumOf(0);
      dx = sum ?? Tensor.empty(device, x.shape);
      gemm([gate, wGate, dx], [rows, inner, width], { accumulate: sum !== null });
      gemm([up, wUp, dx], [rows, inner, width], { accumulate: true });
    }
    const dGate = wGate.requiresGrad ? weightGradient(gate, x, wGate) : null;
    const dUp = wUp.requiresGrad ? weightGradient(up, x, wUp) : null;
    gate.dispose();
    up.dispose();
    return [dx, dGate, dUp, dDown, d];
  });
  return result;
}

function extents(
  op: string,
  x: Pick<Tensor, 'shape' | 'rows'>,
  w: Tensor,
): { rows: number; inner: number; out: number } {
  const [out, inner] = [w.dim(0), w.dim(1)];
  if (x.shape.at(-1) !== inner) throw new ShapeError(`${op}: inner dims differ: x [${x.shape}] · w [${w.shape}]`);
  return { rows: x.rows, inner, out };
}

/** dyᵀ x, in the shape of w. */
function weightGradient(dy: Tensor, x: Tensor, w: Tensor): Tensor {
  const dw = Tensor.empty(x.device, w.shape);
  const [out, inner] = [w.dim(0), w.dim(1)];
  gemm([dy, x, dw], [out, inner, x.rows], { transposeA: true });
  return dw;
}

function gemm(
  [a, b, c, bias, plus]: [Tensor, Tensor, Tensor, (Tensor | null)?, (Tensor | null)?],
  [m, n, k]: [number, number, number],
  { transposeA = false, transposeB = false, accumulate = false } = {},
): void {
  const forms = [transposeA, transposeB, accumulate].map(Number);
  const buffers = [a.buffer, b.buffer, c.buffer, bias?.buffer ?? null, plus?.buffer ?? null];
  a.device.run('gemm', buffers, [m, n, k, ...forms, 1, 0, 0, 0, typeCode(b.dtype)]);
}
