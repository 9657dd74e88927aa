/** @file y = x Wᵀ, with weights stored [out, in] as checkpoints store them. */
import { record, recording } from '../autograd.ts';
import { ShapeError, Tensor } from '../tensor.ts';

/** x [..., in] · w [out, in] -> [..., out]; an optional bias is `addBias`. */
export function linear(x: Tensor, w: Tensor): Tensor {
  const [out, inner] = [w.dim(0), w.dim(1)];
  if (x.dim(-1) !== inner) throw new ShapeError(`linear: inner dims differ: x [${x.shape}] · w [${w.shape}]`);
  const rows = x.size / inner;
  const y = Tensor.empty(x.device, [...x.shape.slice(0, -1), out]);
  gemm(x, w, y, rows, out, inner, false, true);
  if (recording([x, w])) {
    record([x, w], [y], ([d]) => {
      const dy = d as Tensor;
      let dx: Tensor | null = null;
      let dw: Tensor | null = null;
      if (x.requiresGrad) {
        dx = Tensor.empty(x.device, x.shape);
        gemm(dy, w, dx, rows, inner, out, false, false);
      }
      if (w.requiresGrad) {
        dw = Tensor.empty(x.device, w.shape);
        gemm(dy, x, dw, out, inner, rows, true, false);
      }
      return [dx, dw];
    });
  }
  return y;
}

function gemm(
  a: Tensor,
  b: Tensor,
  c: Tensor,
  m: number,
  n: number,
  k: number,
  transposeA: boolean,
  transposeB: boolean,
): void {
  a.device.run(
    'gemm',
    [a.buffer, b.buffer, c.buffer],
    [m, n, k, Number(transposeA), Number(transposeB), 0, 1, 0, 0, 0],
  );
}
