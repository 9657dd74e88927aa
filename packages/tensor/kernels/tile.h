/* Register tiles for products of matrices in cache, full or triangular: TILE_ROWS rows of up to TILE_VECTORS vectors.
   Every element is one chain of fused multiply-adds in the order of k, so the shape of a tile leaves the bits alone.
   Everything is inlined with a constant `nv` (vectors per row), so that a tile stays in registers between products. */
#ifndef TILE_H
#define TILE_H
#include "quasar.h"
#include "simd.h"

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
enum { TILE_ROWS = 8, TILE_VECTORS = 2 };
#elif defined(__AVX2__)
enum { TILE_ROWS = 4, TILE_VECTORS = 2 };
#elif defined(__aarch64__)
enum { TILE_ROWS = 4, TILE_VECTORS = 4 };
#else
enum { TILE_ROWS = 2, TILE_VECTORS = 4 };
#endif
enum { TILE_COLUMNS = TILE_VECTORS * VW, NARROW = 16 / VW };
typedef vf tile[TILE_ROWS][TILE_VECTORS];

#define EACH_ROW(r) _Pragma("GCC unroll 8") for (int r = 0; r < TILE_ROWS; r++)
#define EACH_VECTOR(c) _Pragma("GCC unroll 8") for (int c = 0; c < nv; c++)
/* Calls work(nv, j) for the column blocks j of [0, N), N a multiple of 16. */
#define EACH_BLOCK(N, work)                                                       \
  do {                                                                            \
    long j = 0;                                                                   \
    for (; j + TILE_COLUMNS <= (N); j += TILE_COLUMNS) work(TILE_VECTORS, j);     \
    if (TILE_COLUMNS > 16)                                                        \
      for (; j < (N); j += 16) work(NARROW, j);                                   \
  } while (0)

INLINE void tile_zero(const int nv, tile s) {
  EACH_ROW(r) EACH_VECTOR(c) s[r][c] = vset(0.0f);
}
INLINE void tile_load(const int nv, tile s, const float *C, int64_t ld) {
  EACH_ROW(r) EACH_VECTOR(c) s[r][c] = vload(C + r * ld + c * VW);
}
/* Stores the first `rows` rows. */
INLINE void tile_store(const int nv, tile s, long rows, float *C, int64_t ld) {
  EACH_ROW(r) if (r < rows) EACH_VECTOR(c) vstore(C + r * ld + c * VW, s[r][c]);
}
INLINE void tile_scale(const int nv, tile s, const float *factor) {
  EACH_ROW(r) {
    vf f = vset(factor[r]);
    EACH_VECTOR(c) s[r][c] = vmul(f, s[r][c]);
  }
}

/* s += A B; element (r, k) of A at A[r * row + k * column], row k of B at B + k * ld. */
INLINE void tile_product(const int nv, tile s, long K, const float *A, long row, long column, const float *B, long ld) {
  for (long k = 0; k < K; k++, A += column, B += ld) {
    vf b[TILE_VECTORS];
    EACH_VECTOR(c) b[c] = vload(B + c * VW);
    EACH_ROW(r) {
      vf x = vset(A[r * row]);
      EACH_VECTOR(c) s[r][c] = vfma(x, b[c], s[r][c]);
    }
  }
}

/* s += A B for the square block of A that lies on its diagonal: k <= r only with `lower`, else k >= r only. */
INLINE void tile_triangle(const int nv, tile s, const int lower, const float *A, long row, long column, const float *B,
                          long ld) {
  EACH_ROW(k) {
    vf b[TILE_VECTORS];
    EACH_VECTOR(c) b[c] = vload(B + k * ld + c * VW);
    EACH_ROW(r) if (lower ? k <= r : k >= r) {
      vf x = vset(A[r * row + k * column]);
      EACH_VECTOR(c) s[r][c] = vfma(x, b[c], s[r][c]);
    }
  }
}

INLINE void product_block(const int nv, long M, long K, const float *A, long row, long column, const float *B, long ldb,
                          float *C, long ldc, const int accumulate) {
  for (long i = 0; i < M; i += TILE_ROWS) {
    tile s;
    if (accumulate) tile_load(nv, s, C + i * ldc, ldc);
    else tile_zero(nv, s);
    tile_product(nv, s, K, A + i * row, row, column, B, ldb);
    tile_store(nv, s, TILE_ROWS, C + i * ldc, ldc);
  }
}

/* The lower triangle of C[n,n] = A B, with some elements above it; A rows contiguous. */
static inline void product_lower(long n, long K, const float *A, long lda, const float *B, long ldb, float *C, long ldc) {
  long j = 0;
  for (; j + TILE_COLUMNS <= n; j += TILE_COLUMNS) {
    long skip = TILE_COLUMNS - 16; /* rows whose part of the triangle is one narrow block wide */
    if (skip > 0) product_block(NARROW, skip, K, A + j * lda, lda, 1, B + j, ldb, C + j * ldc + j, ldc, 0);
    long i = j + skip;
    product_block(TILE_VECTORS, n - i, K, A + i * lda, lda, 1, B + j, ldb, C + i * ldc + j, ldc, 0);
  }
  if (j < n) product_block(NARROW, n - j, K, A + j * lda, lda, 1, B + j, ldb, C + j * ldc + j, ldc, 0);
}
#endif
