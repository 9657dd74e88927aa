/** @file Normalisations over the last axis: RMSNorm, gated RMSNorm, L2. */
import { record, recording } from '../autograd.ts';
import { ShapeError, Tensor } from '../tensor.ts';

function rowsOf(op: string, x: Tensor, width: number): number {
  if (width === 0 && x.size === 0) return x.rows;
  if (x.size % width !== 0) throw new ShapeError(`${op}: [${x.shape}] is not rows of ${width}`);
  return x.size / width;
}

/** Room for the weight gradient of every block of 64 rows (kernels/norm.c). */
export function partialSums(x: Tensor, rows: number, width: number): Tensor {
  return Tensor.empty(x.device, [Math.ceil(rows / 64), width]);
}

/** (w + offset) ⊙ x / √(mean(x²) + eps) over rows of w's length (Zhang and Sennrich 2019). */
export function rmsNorm(x: Tensor, w: Tensor, eps: number, offset = 0): Tensor {
  const width = w.size;
  const rows = rowsOf('rmsNorm', x, width);
  const y = Tensor.empty(x.device, x.shape);
  x.device.run('rms_norm', [y.buffer, x.buffer, w.buffer], [rows, width, eps, offset]);
  if (recording([x, w])) {
    record([x, w], [y], ([d], sumOf) => {
      const sum = sumOf(0);
      const [dx, dw, work] = [
        sum ?? Tensor.empty(x.device, x.shape),
        Tensor.empty(x.device, w.shape),
        partialSums(x, rows, width),
      ];
      const buffers = [dx, dw, x, w, d as Tensor, work].map((t) => t.buffer);
      x.device.run('rms_norm_backward', buffers, [rows, width, eps, offset, Number(sum !== null)]);
      return [dx, dw];
    });
  }
  return y;
}

/** rms(x)·w ⊙ act(gate) over rows of w's length; the output norm of Quasar (sigmoid) and GLA (silu) heads. */
export function gatedNorm(x: Tensor, w: Tensor, gate: Tensor, activation: 'sigmoid' | 'silu', eps: number): Tensor {
  const width = w.size;
  const rows = rowsOf('gatedNorm', x, width);
  if (gate.size !== x.size) throw new ShapeError(`gatedNorm: gate [${gate.shape}] for x [${x.shape}]`);
  const numbers = [rows, width, eps, activation === 'silu' ? 1 : 0];
  const y = Tensor.empty(x.device, x.shape);
  x.device.run('gated_norm', [y.buffer, x.buffer, w.buffer, gate.buffer], numbers);
  if (recording([x, w, gate])) {
    record([x, w, gate], [y], ([d]) => {
      const [dx, dw, dGate] = [x, w, gate].map((t) => Tensor.empty(x.device, t.shape)) as [Tensor, Tensor, Tensor];
      const work = partialSums(x, rows, width);
      x.device.run(
        'gated_norm_backward',
        [dx, dw, dGate, x, w, gate, d as Tensor, work].map((t) => t.buffer),
        numbers,
      );
      return [dx, dw, dGate];
    });
  }
  return y;
}

/** factor·x / max(|x|, 1e-12) over the last axis. */
export function l2Norm(x: Tensor, factor = 1): Tensor {
  const width = x.dim(-1);
  const numbers = [x.rows, width, factor];
  const y = Tensor.empty(x.device, x.shape);
  x.device.run('l2_norm', [y.buffer, x.buffer], numbers);
  if (recording([x])) {
    record([x], [y], ([d]) => {
      const dx = Tensor.empty(x.device, x.shape);
      x.device.run('l2_norm_backward', [dx.buffer, x.buffer, (d as Tensor).buffer], numbers);
      return [dx];
    });
  }
  return y;
}
