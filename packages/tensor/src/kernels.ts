/**
 * @file The kernels that every device has. What buffers and numbers each one takes stands above its C source in
 * `kernels/*.c` (`p:` buffers in order, `n:` numbers in order); the reference device implements the same list.
 */
import { QuasarError } from '@quasar/base';
import type { DType } from './device.ts';

export const KERNEL_NAMES = [
  'gemm',
  'gemm_swiglu',
  'gemm_swiglu_backward',
  'gemm_grouped',
  'fill',
  'axpby',
  'multiply',
  'clamp',
  'clamp_backward',
  'unary',
  'unary_backward',
  'add_bias',
  'sum_rows',
  'scale_columns',
  'swiglu',
  'swiglu_backward',
  'sigmoid_gate',
  'sigmoid_gate_backward',
  'rms_norm',
  'rms_norm_backward',
  'gated_norm',
  'gated_norm_backward',
  'l2_norm',
  'l2_norm_backward',
  'rope',
  'head_norm',
  'head_norm_backward',
  'short_conv',
  'short_conv_backward',
  'exact_gate',
  'exact_gate_backward',
  'preview_gate',
  'preview_gate_backward',
  'decay_gate',
  'decay_gate_backward',
  'copy_blocks',
  'recurrence',
  'recurrence_backward',
  'attention',
  'attention_backward',
  'slot_gates',
  'slot_gates_backward',
  'slot_attention',
  'slot_attention_backward',
  'latent_memory',
  'latent_memory_backward',
  'route',
  'route_backward',
  'moe_plan',
  'moe_gather',
  'moe_gather_backward',
  'moe_combine',
  'moe_combine_backward',
  'router_loss',
  'router_loss_backward',
  'ngram_rows',
  'embedding',
  'embedding_backward',
  'gather_rows',
  'scatter_rows',
  'cross_entropy',
  'cross_entropy_backward',
  'kl_top_k',
  'kl_top_k_backward',
  'top_k',
  'divergence',
  'scale_rows',
  'head_loss',
  'head_loss_backward',
  'head_top_k',
  'head_divergence',
  'head_divergence_backward',
  'cast',
  'sum_squares',
  'adamw',
  'dot',
  'momentum',
  'orthogonalize',
  'sparse_adam',
  'smebu',
] as const;

export type KernelName = (typeof KERNEL_NAMES)[number];

const TYPE_CODES = { float: 0, bf16: 1, f16: 2 } as const;

/** How kernels are told, among their numbers, the storage type of an operand. @throws QuasarError tensor.bad_kernel_call for ints */
export function typeCode(dtype: DType): number {
  if (dtype === 'int')
    throw new QuasarError('tensor.bad_kernel_call', 'typeCode: a kernel takes floats here, got ints');
  return TYPE_CODES[dtype];
}
