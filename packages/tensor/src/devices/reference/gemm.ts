/** @file Reference matrix products. */
import { swiglu_backward } from './elementwise.ts';
import { silu } from './scalar.ts';
import type { Numbers, ReferenceKernel } from './types.ts';

/** C[M,N] (+)= op(A) op(B) + bias + plus; a transposed operand is stored [K,M] or [N,K]. Steps separate the matrices of a batch. */
export const gemm: ReferenceKernel = (p, n) => {
  const [A, B, C, bias, plus] = p as [Numbers, Numbers, Numbers, Numbers?, Numbers?];
  const [M, N, K, transA, transB, accumulate, batch, stepA, stepB, stepC] = n;
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < M; i++) {
      for (let j = 0; j < N; j++) {
        let sum = 0;
        for (let k = 0; k < K; k++) {
          const x = A[b * stepA + (transA ? k * M + i : i * K + k)];
          const y = B[b * stepB + (transB ? j * K + k : k * N + j)];
          sum += x * y;
        }
        const at = b * stepC + i * N + j;
        C[at] = (accumulate ? C[at] + sum : sum) + (bias ? bias[j] : 0) + (plus ? plus[at] : 0);
      }
    }
  }
};

/** y = silu(x Wg^T) (x Wu^T); keeps both products where asked for. */
export const gemm_swiglu: ReferenceKernel = (p, n) => {
  const [y, keptGate, keptUp, x, Wg, Wu] = p as [Numbers, Numbers | null, Numbers | null, Numbers, Numbers, Numbers];
  const [M, N, K] = n;
  const [gate, up] = [keptGate ?? new Float64Array(M * N), keptUp ?? new Float64Array(M * N)];
  gemm([x, Wg, gate], [M, N, K, 0, 1, 0, 1, 0, 0, 0]);
  gemm([x, Wu, up], [M, N, K, 0, 1, 0, 1, 0, 0, 0]);
  for (let i = 0; i < M * N; i++) y[i] = silu(gate[i]) * up[i];
};

/** Gradients of both products from that of y W^T. */
export const gemm_swiglu_backward: ReferenceKernel = (p, n) => {
  const [dGate, dUp, gate, up, d, W] = p as Numbers[];
  const [M, N, K] = n;
  const dy = new Float64Array(M * N);
  gemm([d, W, dy], [M, N, K, 0, 0, 0, 1, 0, 0, 0]);
  swiglu_backward([dGate, dUp, gate, up, dy], [M, N]);
};

/**
 * Rows sorted by expert; expert e owns rows offsets[e] .. offsets[e+1].
 * form 0: y = x W_e; form 1: y = x W_e^T; form 2: y_e = x^T w, where w holds the output gradients.
 */
export const gemm_grouped: ReferenceKernel = (p, n) => {
  const [x, w, y, offsets] = p as Numbers[];
  const [form, experts, inner, outer] = n;
  for (let e = 0; e < experts; e++) {
    const begin = offsets[e];
    const rows = offsets[e + 1] - begin;
    const W = e * inner * outer;
    const X = x.subarray(begin * (form === 1 ? outer : inner));
    if (form === 0) {
      gemm([X, w.subarray(W), y.subarray(begin * outer)], [rows, outer, inner, 0, 0, 0, 1, 0, 0, 0]);
    } else if (form === 1) {
      gemm([X, w.subarray(W), y.subarray(begin * inner)], [rows, inner, outer, 0, 1, 0, 1, 0, 0, 0]);
    } else {
      gemm([X, w.subarray(begin * outer), y.subarray(W)], [inner, outer, rows, 1, 0, 0, 1, 0, 0, 0]);
    }
  }
};
