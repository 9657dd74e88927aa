/* Matrix products on the calling thread, for kernels that work on data in cache. Each element of C is one chain of fused
   multiply-adds over k in order, whatever the shapes, strides and instruction set. */
#ifndef GEMM_H
#define GEMM_H
#include "quasar.h"
#include "simd.h"

/* What happens to C. GEMM_LOWER: set, but above the diagonal nothing that lies there is a result; for products that are known
   to be symmetric, in gemm_serial, gemm_stored and gemm_parallel. */
enum { GEMM_SUBTRACT = -1, GEMM_SET = 0, GEMM_ADD = 1, GEMM_LOWER = 2 };

/* C[M,N] = A B, C += A B or C -= A B for small matrices in cache, without packing: rows of B and C are contiguous, element
   (i,k) of A sits at A[i*rowA + k*colA]. Any M, N, K >= 0; fastest where N is a multiple of 16. */
#define small_gemm Q_JOIN(small_gemm, Q_ISA)
void small_gemm(long M, long N, long K, const float *A, long rowA, long colA, const float *B, long ldb, float *C, long ldc,
                int mode);

/* The same for any strides of A and B and any size: packs what is not in a good order. */
#define gemm_serial Q_JOIN(gemm_serial, Q_ISA)
void gemm_serial(long M, long N, long K, const float *A, long rowA, long colA, const float *B, long rowB, long colB, float *C,
                 long ldc, int mode);

/* The same with B stored as `type`, where rowB or colB is 1. */
#define gemm_stored Q_JOIN(gemm_stored, Q_ISA)
void gemm_stored(long M, long N, long K, const float *A, long rowA, long colA, const void *B, int type, long rowB, long colB,
                 float *C, long ldc, int mode);

/* gemm_serial shared out over the threads, for kernels outside of parallel loops. */
#define gemm_parallel Q_JOIN(gemm_parallel, Q_ISA)
void gemm_parallel(long M, long N, long K, const float *A, long rowA, long colA, const float *B, long rowB, long colB, float *C,
                   long ldc, int mode);

/* Y[N,M] = X[M,N]^T; rows ldx and ldy apart. */
static inline void transpose_small(long M, long N, const float *X, long ldx, float *Y, long ldy) {
  long m = M - M % TRANSPOSE, n = N - N % TRANSPOSE;
  for (long i = 0; i < m; i += TRANSPOSE) {
    const float *rows[TRANSPOSE];
    for (long r = 0; r < TRANSPOSE; r++) rows[r] = X + (i + r) * ldx;
    for (long j = 0; j < n; j += TRANSPOSE) transpose_square(rows, j, Y + j * ldy + i, ldy);
  }
  for (long i = 0; i < M; i++)
    for (long j = i < m ? n : 0; j < N; j++) Y[j * ldy + i] = X[i * ldx + j];
}
#endif
