/**
 * @file What each kernel needs of its buffers: how many, of which type, how long. Devices whose kernels touch raw memory
 * check every call against it, so that a wrong shape is an error and never a write beyond a buffer.
 */
import { QuasarError } from '@quasar/base';
import type { DeviceBuffer, DType } from './device.ts';
import type { KernelName } from './kernels.ts';

interface Need {
  length: number;
  dtype: DType;
  optional: boolean;
}

type Buffers = readonly (DeviceBuffer | null | undefined)[];
/** Needs of the buffers in order, from the numbers of the call. */
type Signature = (n: readonly number[], p: Buffers) => Need[];

const f = (length: number): Need => ({ length, dtype: 'float', optional: false });
const i = (length: number): Need => ({ length, dtype: 'int', optional: false });
const maybe = (need: Need): Need => ({ ...need, optional: true });
const TYPES: readonly DType[] = ['float', 'bf16', 'f16'];
/** A float buffer stored as the type with this code (see `typeCode`). */
const stored = (length: number, code = 0): Need => ({ ...f(length), dtype: TYPES[code] ?? 'float' });
/** `count` matrices of `size` elements, `step` apart. */
const strided = (count: number, step: number, size: number) => (count > 0 && size > 0 ? (count - 1) * step + size : 0);

/** The same need `times` times. */
const all = (times: number, need: Need): Need[] => new Array(times).fill(need);

/** Rows of a cache with room, of which S count and the last T are new; below 0 where they do not fit. */
const cacheLength = (B: number, T: number, S: number, room: number) => (T <= S && S <= room ? B * room : -1);

/** What the recurrence kernels share: operands q to gate by the rule and the kind of decay. */
function recurrence([B, T, H, dk, dv, , chunks, rule, decay]: readonly number[]) {
  const [rows, state] = [B * T * H, B * H * dk * dv];
  const [key, value, strength] = [f(rows * dk), f(rows * dv), f(rows)];
  const gate = f(decay === 2 ? rows * dk : rows);
  const erase = rule === 2 ? strength : maybe(strength);
  const operands = [key, key, value, maybe(strength), erase, decay ? gate : maybe(gate)];
  return {
    value,
    operands,
    made: [key, key, value, ...all(2, maybe(strength)), maybe(gate), maybe(f(state))],
    state: f(state),
    saved: f(state * chunks),
    position: maybe(i(B * T)),
  };
}

/** In the order of `KERNEL_NAMES`. */
export const SIGNATURES: Record<KernelName, Signature> = {
  gemm: ([M, N, K, , , , batch, stepA, stepB, stepC, type]) => {
    const C = f(strided(batch, stepC, M * N));
    return [f(strided(batch, stepA, M * K)), stored(strided(batch, stepB, K * N), type), C, maybe(f(N)), maybe(C)];
  },
  gemm_swiglu: ([M, N, K, type]) => [f(M * N), ...all(2, maybe(f(M * N))), f(M * K), ...all(2, stored(N * K, type))],
  gemm_swiglu_backward: ([M, N, K, type]) => [...all(4, f(M * N)), f(M * K), stored(K * N, type)],
  gemm_grouped: ([form, E, inner, outer, type], p) => {
    const [from, to] = form === 1 ? [outer, inner] : [inner, outer];
    const rows = from > 0 ? (p[0]?.length ?? 0) / from : 0;
    const [size, y] = [E * inner * outer, f(rows * to)];
    return form === 2 ? [f(rows * from), y, f(size), i(E + 1)] : [f(rows * from), stored(size, type), y, i(E + 1)];
  },
  fill: ([count]) => [f(count)],
  axpby: ([count, , , at = 0]) => [f(count), f(count), maybe(f(at + count))],
  multiply: ([count]) => all(3, f(count)),
  clamp: ([count]) => all(2, f(count)),
  clamp_backward: ([count]) => all(3, f(count)),
  unary: ([count]) => all(2, f(count)),
  unary_backward: ([count]) => all(3, f(count)),
  add_bias: ([M, N]) => [f(M * N), f(M * N), f(N)],
  sum_rows: ([M, N]) => [f(N), f(M * N)],
  scale_columns: ([M, N]) => [f(M * N), f(M * N), f(N)],
  swiglu: ([M, F], p) => [f(M * F), f(M * F * (p[2] ? 1 : 2)), maybe(f(M * F))],
  swiglu_backward: ([M, F], p) => {
    const [gate, up] = [f(M * F * (p[3] ? 1 : 2)), f(M * F)];
    return [gate, p[3] ? up : maybe(up), gate, maybe(up), f(M * F)];
  },
  sigmoid_gate: ([count]) => all(3, f(count)),
  sigmoid_gate_backward: ([count]) => all(5, f(count)),
  rms_norm: ([M, N]) => [f(M * N), f(M * N), f(N)],
  rms_norm_backward: ([M, N]) => [f(M * N), f(N), f(M * N), f(N), f(M * N), f(Math.ceil(M / 64) * N)],
  gated_norm: ([M, N]) => [f(M * N), f(M * N), f(N), f(M * N)],
  gated_norm_backward: ([M, N]) => {
    const [x, w] = [f(M * N), f(N)];
    return [x, w, x, x, w, x, x, f(Math.ceil(M / 64) * N)];
  },
  l2_norm: ([M, N]) => all(2, f(M * N)),
  l2_norm_backward: ([M, N]) => all(3, f(M * N)),
  head_norm: ([rows, H, E, , , R], p) => {
    const [y, size] = [f(rows * H * E), rows * H * E * (p[1] ? 2 : 1)];
    return [y, maybe(y), f(size), f(E), R ? i(rows) : maybe(i(rows))];
  },
  head_norm_backward: ([rows, H, E, , , R], p) => {
    const [y, x] = [f(rows * H * E), f(rows * H * E * (p[6] ? 2 : 1))];
    const position = R ? i(rows) : maybe(i(rows));
    return [x, f(E), x, f(E), position, y, maybe(y), f(Math.ceil((rows * H) / 64) * E)];
  },
  rope: ([rows, H, E]) => [f(rows * H * E), f(rows * H * E), i(rows)],
  short_conv: ([B, T, D, W]) => {
    const [x, state] = [f(B * T * D), maybe(f(B * (W - 1) * D))];
    return [x, state, x, f(D * W), state, maybe(i(B * T))];
  },
  short_conv_backward: ([B, T, D, W]) => {
    const [x, work] = [f(B * T * D), f(B * Math.ceil(T / 64) * 4 * Math.ceil(W / 4) * D)];
    return [x, f(D * W), x, f(D * W), maybe(f(B * (W - 1) * D)), maybe(i(B * T)), x, work];
  },
  exact_gate: ([rows, E]) => [f(rows), f(rows), f(rows * E), maybe(f(rows))],
  exact_gate_backward: ([rows, E], p) => {
    const [row, key] = [f(rows), f(rows * E)];
    return [row, key, p[5] ? row : maybe(row), row, key, maybe(row), row];
  },
  preview_gate: ([rows, H, E]) => [f(rows * H), f(rows * H), f(rows * H * E), f(H), f(H * E)],
  preview_gate_backward: ([rows, H, E]) => {
    const [head, channel] = [f(rows * H), f(rows * H * E)];
    return [head, channel, head, channel, head, channel, f(H), f(H * E), head];
  },
  decay_gate: ([rows, H, E]) => [...all(2, f(rows * H * E)), f(H), f(H * E)],
  decay_gate_backward: ([rows, H, E]) => {
    const z = f(rows * H * E);
    return [z, f(rows * H), z, f(H), f(H * E), z];
  },
  copy_blocks: ([rows, width, outStep, outAt, step, at, adds], p) => {
    const count = width > 0 ? rows : 0;
    const needs = [f(strided(count, outStep, outAt + width)), f(strided(count, step, at + width))];
    return p[0]?.dtype === 'int' && !adds ? needs.map((need): Need => ({ ...need, dtype: 'int' })) : needs;
  },
  recurrence: (n) => {
    const { value, operands, state, saved, position } = recurrence(n);
    return [value, state, maybe(saved), ...operands, maybe(state), position];
  },
  recurrence_backward: (n) => {
    const { value, operands, made, state, saved, position } = recurrence(n);
    return [...made, saved, ...operands, position, value, maybe(state)];
  },
  attention: ([B, T, S, room, H, Hk, D]) => {
    const [query, key] = [f(B * T * H * D), f(cacheLength(B, T, S, room) * Hk * D)];
    return [query, maybe(f(B * T * H)), query, key, key, maybe(i(B * T))];
  },
  attention_backward: ([B, T, S, room, H, Hk, D]) => {
    const [query, key] = [f(B * T * H * D), f(cacheLength(B, T, S, room) * Hk * D)];
    return [query, key, key, query, key, key, maybe(i(B * T)), query, f(B * T * H), query];
  },
  slot_gates: ([rows, H, M]) => {
    const [slots, head] = [f(rows * H * M), f(H)];
    return [slots, slots, f(rows * H), head, head, maybe(f(H * M))];
  },
  slot_gates_backward: ([rows, H, M]) => {
    const [slots, gate, head] = [f(rows * H * M), f(rows * H), f(H)];
    return [slots, gate, gate, slots, gate, head, head, maybe(f(H * M)), slots];
  },
  slot_attention: ([B, T, H, Hk, M, dk, dv, chunks]) => {
    const [keys, values] = [f(B * H * M * dk), f(B * H * M * dv)];
    const saved = [maybe(f(keys.length * chunks)), maybe(f(values.length * chunks))];
    const given = [f(B * T * H * dk), f(B * T * Hk * dk), f(B * T * Hk * dv), f(B * T * H * M)];
    return [f(B * T * H * dv), keys, values, ...saved, ...given, maybe(keys), maybe(values), maybe(i(B * T))];
  },
  slot_attention_backward: ([B, T, H, Hk, M, dk, dv, chunks]) => {
    const [keys, values] = [f(B * H * M * dk), f(B * H * M * dv)];
    const given = [f(B * T * H * dk), f(B * T * Hk * dk), f(B * T * Hk * dv), f(B * T * H * M)];
    const saved = [f(keys.length * chunks), f(values.length * chunks)];
    const end = [maybe(keys), maybe(values)];
    return [...given, ...end, ...saved, ...given, maybe(i(B * T)), f(B * T * H * dv), ...end];
  },
  latent_memory: ([B, T, K, D, room]) => {
    const [rows, memory, open] = [f(B * T * D), f(B * K * D), f(B * 63 * (D + 1))];
    const weights = [f(D), f(D), f(1), f(K * D)];
    const state = [maybe(memory), maybe(open), maybe(i(B * T))];
    return [rows, memory, open, f(memory.length * room), rows, f(B * T), rows, ...weights, ...state];
  },
  latent_memory_backward: ([B, T, K, D, room]) => {
    const [rows, memory, open, eta] = [f(B * T * D), f(B * K * D), f(B * 63 * (D + 1)), f(B * T)];
    const states = f(memory.length * room);
    const made = [rows, eta, rows, f(D), f(D), f(1), f(K * D), maybe(memory), states];
    return [...made, rows, eta, rows, f(D), f(D), f(1), maybe(open), maybe(i(B * T)), rows, maybe(memory), states];
  },
  route: ([N, E, K]) => [i(N * K), f(N * K), f(N * E), f(E)],
  route_backward: ([N, E, K]) => [f(N * E), i(N * K), f(N * K), f(N * K), f(N * E)],
  moe_plan: ([total, E]) => [i(total), i(total), i(E + 1), f(E), i(total)],
  moe_gather: ([total, K, D]) => [f(total * D), f(Math.ceil(total / K) * D), i(total)],
  moe_gather_backward: ([N, K, D]) => [f(N * D), f(N * K * D), i(N * K)],
  moe_combine: ([N, K, D]) => [f(N * D), f(N * K * D), f(N * K), i(N * K)],
  moe_combine_backward: ([N, K, D]) => [f(N * K * D), f(N * K), f(N * K * D), f(N * K), i(N * K), f(N * D)],
  router_loss: ([N, E]) => [f(1), f(N * E), f(E)],
  router_loss_backward: ([N, E]) => [f(N * E), f(N * E), f(E), f(1)],
  ngram_rows: ([B, T, tables, heads, back, , vocabulary]) => {
    const state = maybe(f(B * back));
    const orders = heads > 0 ? tables / heads : 0;
    return [i(B * T * tables), state, i(B * T), i(vocabulary), i(tables), i(orders), state, maybe(i(B * T))];
  },
  embedding: ([M, D, V, type]) => [f(M * D), stored(V * D, type), i(M)],
  embedding_backward: ([M, D, V]) => [f(V * D), f(M * D), i(M)],
  gather_rows: ([M, D]) => [f(M * D), f(0), i(M)],
  scatter_rows: ([M, D, N]) => [f(N * D), f(M * D), i(M)],
  cross_entropy: ([M, V]) => [f(M), f(M), f(M * V), i(M)],
  cross_entropy_backward: ([M, V]) => [f(M * V), f(M * V), f(M), i(M), f(M)],
  kl_top_k: ([M, V, K]) => [f(M), f(M), f(M), f(M * V), i(M * K), f(M * K), f(M)],
  kl_top_k_backward: ([M, V, K]) => [f(M * V), f(M * V), f(M), f(M), i(M * K), f(M * K), f(M), f(M)],
  top_k: ([M, V, K]) => [i(M * K), f(M * K), f(M), f(M * V)],
  head_loss: ([N, V, d, K, type]) => {
    const [row, view] = [maybe(f(N)), maybe(f(N * K))];
    return [row, row, f(N), row, f(N * d), stored(V * d, type), maybe(i(N)), maybe(i(N * K)), view, row];
  },
  head_loss_backward: ([N, V, d, K, type]) => {
    const [row, hidden] = [maybe(f(N)), f(N * d)];
    const given = [maybe(i(N)), maybe(i(N * K)), maybe(f(N * K)), row];
    return [maybe(hidden), maybe(f(V * d)), hidden, stored(V * d, type), f(N), row, ...given, row, row];
  },
  head_top_k: ([N, V, d, K, type]) => [i(N * K), f(N * K), f(N), f(N * d), stored(V * d, type)],
  head_divergence: ([N, V, d, dt, , , type, teacherType]) => [
    ...all(3, f(N)),
    f(N * d),
    stored(V * d, type),
    f(N * dt),
    stored(V * dt, teacherType),
  ],
  head_divergence_backward: ([N, V, d, dt, , , type, teacherType]) => [
    maybe(f(N * d)),
    maybe(f(V * d)),
    f(N * d),
    stored(V * d, type),
    f(N * dt),
    stored(V * dt, teacherType),
    ...all(4, f(N)),
  ],
  divergence: ([M, V]) => [f(M), maybe(f(M * V)), f(M * V), f(M * V), maybe(f(M))],
  scale_rows: ([M, V]) => [f(M * V), f(M)],
  cast: ([count, to, from], p) =>
    p[0]?.dtype === 'int' && to === from ? all(2, i(count)) : [stored(count, to), stored(count, from)],
  sum_squares: ([count]) => [f(1), f(count)],
  adamw: ([count, , , , , , , , , type]) => {
    const master = f(count);
    return [stored(count, type), ...all(3, f(count)), type ? master : maybe(master)];
  },
  momentum: ([count, , , at = 0]) => [f(at + count), f(count), f(count)],
  orthogonalize: ([batch, R, C]) => [f(batch * R * C), f(batch * (R * C + 4 * Math.min(R, C) ** 2))],
  sparse_adam: ([M, D, V]) => [...all(3, f(V * D)), f(M * D), i(M)],
  smebu: ([layer, E, loops]) => {
    const layers = layer + 1;
    return [f(layers * E), f(layers * E), f(layers), ...all(loops, f(E))];
  },
  dot: ([count]) => [f(1), f(count), f(count)],
};

/** @throws QuasarError tensor.bad_kernel_call when a buffer is missing, of another type, or shorter than the kernel needs */
export function checkCall(kernel: KernelName, buffers: Buffers, numbers: readonly number[]): void {
  const needs = SIGNATURES[kernel](numbers, buffers);
  for (let at = 0; at < needs.length; at++) {
    const { length, dtype, optional } = needs[at] as Need;
    const buffer = buffers[at];
    if (!buffer && optional && length >= 0) continue;
    if (buffer && buffer.dtype === dtype && length >= 0 && buffer.length >= length) continue;
    const found = buffer ? `${buffer.length} of ${buffer.dtype}` : 'nothing';
    throw new QuasarError(
      'tensor.bad_kernel_call',
      `${kernel} (${numbers}): argument ${at} needs ${length} of ${dtype}, got ${found}`,
      { hint: 'check the shapes and types of the tensors that reach this op' },
    );
  }
}
