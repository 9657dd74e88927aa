/** @file What a kernel call must compute and move, for the profile: a function of its operands. */
import type { DeviceBuffer, DType } from './device.ts';
import type { KernelName } from './kernels.ts';

type Operands = readonly (DeviceBuffer | null)[];

interface Cost {
  /** Operations, two per multiply-add, without those that a chosen algorithm adds; null: nothing worth counting. */
  flops: number | null;
  /** Each operand read or written once, as if caches held everything in between. */
  bytes: number;
}

/** What differs from no operations and every operand once. */
interface Rule {
  flops?: (n: readonly number[], buffers: Operands) => number;
  bytes?: (n: readonly number[], buffers: Operands) => number;
}

export const ELEMENT_BYTES: Record<DType, number> = { float: 4, int: 4, bf16: 2, f16: 2 };

const lengthOf = (buffers: Operands, i: number): number => buffers[i]?.length ?? 0;
const bytesOf = (buffer: DeviceBuffer | null | undefined): number =>
  buffer ? buffer.length * ELEMENT_BYTES[buffer.dtype] : 0;

/**
 * Per token: products with the state (widths multiplied) and with half of the tokens of its chunk (of keys, of values).
 * The delta rule (rule > 0) has three and two of each, plain addition two and one. The backward pass has the forward
 * pass up to the pseudo-values again and two products for each of its own. As counted in kernels/recurrence.h.
 */
const recurrence: Rule['flops'] = ([B, T, H, dk, dv, chunk, , rule]) => {
  const near = Math.min(T, chunk) * (dk + dv);
  return B * T * H * (rule > 0 ? 6 * dk * dv + 2 * near : 4 * dk * dv + near);
};
const recurrenceBackward: Rule['flops'] = ([B, T, H, dk, dv, chunk, , rule]) => {
  const C = Math.min(T, chunk);
  return B * T * H * (rule > 0 ? 14 * dk * dv + C * (6 * dk + 5 * dv) : 8 * dk * dv + C * (3 * dk + 2 * dv));
};
/** q·k and the weighted sum of v, for each query and the keys up to it. */
const attention: Rule['flops'] = ([B, T, S, , H, , D]) => 4 * B * H * D * (T * S - (T * (T - 1)) / 2);
/** Rows that are copied out of a table, in place of the whole table. */
const someRows: Rule['bytes'] = ([M, D], [out, table, ids]) =>
  bytesOf(out) + bytesOf(ids) + M * D * ELEMENT_BYTES[table?.dtype ?? 'float'];

const times = (factor: number, flops: Rule['flops']): Rule => ({ flops: (n, b) => factor * (flops?.(n, b) ?? 0) });

const RULES: Partial<Record<KernelName, Rule>> = {
  gemm: { flops: ([M, N, K, , , , batch]) => 2 * M * N * K * batch },
  gemm_swiglu: { flops: ([M, N, K]) => 4 * M * N * K },
  gemm_swiglu_backward: { flops: ([M, N, K]) => 2 * M * N * K },
  gemm_grouped: {
    flops: ([form, , inner, outer], buffers) => 2 * groupedRows(form, inner, outer, buffers) * inner * outer,
    // The weights of experts without rows are not read.
    bytes([form, E, inner, outer], buffers) {
      const weights = form === 2 ? 2 : 1;
      const share = form === 2 ? 1 : Math.min(1, groupedRows(form, inner, outer, buffers) / E);
      return buffers.reduce((sum, buffer, i) => sum + bytesOf(buffer) * (i === weights ? share : 1), 0);
    },
  },
  recurrence: { flops: recurrence },
  attention: { flops: attention },
  recurrence_backward: { flops: recurrenceBackward },
  attention_backward: times(2.5, attention),
  short_conv: { flops: ([B, T, D, W]) => 2 * B * T * D * W },
  short_conv_backward: { flops: ([B, T, D, W]) => 6 * B * T * D * W },
  // Products of hidden rows with the head; backward without making the logits again.
  head_loss: { flops: ([N, V, d]) => 2 * N * V * d },
  head_loss_backward: { flops: ([N, V, d], [dHidden, dHead]) => 2 * N * V * d * (Number(!!dHidden) + Number(!!dHead)) },
  head_top_k: { flops: ([N, V, d]) => 2 * N * V * d },
  head_divergence: { flops: ([N, V, d, dt]) => 2 * N * V * (d + dt) },
  head_divergence_backward: {
    flops: ([N, V, d], [dHidden, dHead]) => 2 * N * V * d * (Number(!!dHidden) + Number(!!dHead)),
  },
  embedding: { bytes: someRows },
  gather_rows: { bytes: someRows },
  dot: { flops: ([count]) => 2 * count },
  sum_squares: { flops: ([count]) => 2 * count },
};

function groupedRows(form: number, inner: number, outer: number, buffers: Operands): number {
  return lengthOf(buffers, 0) / (form === 1 ? outer : inner);
}

export function costOf(kernel: KernelName, buffers: Operands, numbers: readonly number[]): Cost {
  const rule = RULES[kernel];
  return {
    flops: rule?.flops?.(numbers, buffers) ?? null,
    bytes: rule?.bytes?.(numbers, buffers) ?? buffers.reduce((sum, buffer) => sum + bytesOf(buffer), 0),
  };
}
