/** @file The same values in another storage type. */
import { record, recording } from '../autograd.ts';
import type { DType } from '../device.ts';
import { typeCode } from '../kernels.ts';
import { Tensor } from '../tensor.ts';

/**
 * x rounded to `dtype` (nearest, ties to even), in memory of its own. Gradients are floats and pass as they are.
 * @throws QuasarError tensor.bad_kernel_call for ints
 */
export function cast(x: Tensor, dtype: Exclude<DType, 'int'>): Tensor {
  const y = Tensor.empty(x.device, x.shape, dtype);
  x.device.run('cast', [y.buffer, x.buffer], [x.size, typeCode(dtype), typeCode(x.dtype)]);
  if (recording([x])) record([x], [y], ([d]) => [d as Tensor]);
  return y;
}
