/* Matrix product building blocks that other kernels use on data they hold in cache. */
#ifndef GEMM_H
#define GEMM_H
#include "quasar.h"
#include "simd.h"

/* C[M,N] (+)= A B for any strides of A and B; C has row stride ldc. Runs on the calling thread. */
void Q_JOIN(gemm_serial, Q_ISA)(long M, long N, long K, const float *A, long rowA, long colA, const float *B,
                                long rowB, long colB, float *C, long ldc, int accumulate);
#define gemm_serial Q_JOIN(gemm_serial, Q_ISA)

/* Unpacked product of small matrices in cache: B and C rows contiguous; M a multiple of 4, N of 16. Element (i,k) of
   A sits at A[i*rowA + k*colA]. Each element of C is one chain of fused multiply-adds in k order. */
static inline void small_gemm(long M, long N, long K, const float *A, long rowA, long colA, const float *B, long ldb,
                              float *C, long ldc, int accumulate) {
  for (long i = 0; i < M; i += 4)
    for (long j = 0; j < N; j += 16) {
      enum { NV = 16 / VW };
      vf s[4][NV];
      for (int r = 0; r < 4; r++)
        for (int c = 0; c < NV; c++) s[r][c] = accumulate ? vload(C + (i + r) * ldc + j + c * VW) : vset(0.0f);
      const float *ap = A + i * rowA, *bp = B + j;
      for (long k = 0; k < K; k++, ap += colA, bp += ldb)
        for (int c = 0; c < NV; c++) {
          vf b = vload(bp + c * VW);
          for (int r = 0; r < 4; r++) s[r][c] = vfma(vset(ap[r * rowA]), b, s[r][c]);
        }
      for (int r = 0; r < 4; r++)
        for (int c = 0; c < NV; c++) vstore(C + (i + r) * ldc + j + c * VW, s[r][c]);
    }
}

static inline void transpose_small(long M, long N, const float *X, long ldx, float *Y, long ldy) {
  for (long i = 0; i < M; i++)
    for (long j = 0; j < N; j++) Y[j * ldy + i] = X[i * ldx + j];
}
#endif
