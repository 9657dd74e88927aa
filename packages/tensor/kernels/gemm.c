/* Matrix products: a register micro-kernel over packed or plain operands, and k in one chain per output element, so that
   blocking, vector width and thread count leave the bits alone (a partial sum that goes through memory is still the same
   float). */
#include "gemm.h"
#include "half.h"

/* A tile holds MR rows of NV vectors in registers. Packed rows of A lie PA apart: a multiple of the transposed square. */
#if defined(__AVX512F__) || defined(__aarch64__)
enum { MR = 8, NV = 3, PA = 8 };
#elif defined(__AVX2__)
enum { MR = 6, NV = 2, PA = 8 };
#else /* V8 spills what 5 rows need, for half the speed */
enum { MR = 4, NV = 2, PA = 4 };
#endif
enum { NR = NV * VW, KC = 384, MC = 14 * MR };

/* Compilers of machine code hold the address of every row of C in registers unless told to step from row to row. */
#if defined(__wasm__)
#define KEEP_POINTER(p) ((void)0)
#else
#define KEEP_POINTER(p) __asm__("" : "+r"(p))
#endif

/* WebAssembly has no way to ask for memory ahead of its use. */
#if defined(__wasm__)
enum { FETCHES = 0 };
#else
enum { FETCHES = 1 };
#endif

/* Operands that are wanted next: tiles bring them into the cache of the second level as they compute, a line for every k.
   `lines` lines are left, rows of `span` bytes that lie `row` bytes apart. */
typedef struct {
  const char *at, *end;
  long lines, span, row;
} ahead;

/* X[rows,columns] of numbers of `bytes` bytes; one of the strides is 1, or there is no use in it. */
static ahead fetch(const void *X, long bytes, long rows, long columns, long rowX, long colX) {
  const char *x = X;
  long count = colX == 1 ? rows : columns, row = (colX == 1 ? rowX : colX) * bytes, length = (colX == 1 ? columns : rows) * bytes;
  long span = (length + 63 + (((uintptr_t)x | (uintptr_t)row) % 64 ? 63 : 0)) / 64 * 64;
  return (ahead){x, x + span, count * (span / 64), span, row};
}

/* C[R, V vectors] by A[R,K] B[K, V vectors]; the last vector holds `part` floats. The tile below in C is wanted next, and what
   `next` says, if it is given. */
static inline __attribute__((always_inline)) void tile(const int R, const int V, const int whole, int part, long K,
                                                       const float *A, long rowA, long colA, const float *B, long ldb,
                                                       float *C, long ldc, int mode, ahead *next) {
  vf s[MR][NV];
  const float *c = C;
  ahead n = next ? *next : (ahead){0};
  long skip = n.row - n.span;
  if (FETCHES && next) {
    const float *below = C + R * ldc;
#pragma GCC unroll 8
    for (int r = 0; r < R; r++, below += ldc) {
      KEEP_POINTER(below);
#pragma GCC unroll 3
      for (int j = 0; j < V; j++) __builtin_prefetch(below + j * VW);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; r++, c += ldc) {
    KEEP_POINTER(c);
#pragma GCC unroll 3
    for (int j = 0; j < V; j++) {
      s[r][j] = mode == GEMM_SET ? vset(0.0f) : whole ? vload(c + j * VW) : vload_part(c + j * VW, part);
      if (mode == GEMM_SUBTRACT) s[r][j] = vsub(vset(-0.0f), s[r][j]);
    }
  }
  for (long k = 0; k < K; k++, B += ldb, A += colA) {
    vf b[NV];
#pragma GCC unroll 3
    for (int j = 0; j < V; j++) b[j] = whole ? vload(B + j * VW) : vload_part(B + j * VW, part);
    if (FETCHES && k < n.lines) {
      __builtin_prefetch(n.at, 0, 2);
      n.at += 64;
      if (n.at >= n.end) n.at += skip, n.end += n.row;
    }
    const float *a = A;
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      vf x = vset(a[r % 4 * rowA]);
#pragma GCC unroll 3
      for (int j = 0; j < V; j++) s[r][j] = vfma(x, b[j], s[r][j]);
      if (r % 4 == 3) a += 4 * rowA;
    }
  }
  if (FETCHES && next) next->at = n.at, next->end = n.end, next->lines = n.lines - K;
#pragma GCC unroll 8
  for (int r = 0; r < R; r++, C += ldc) {
    KEEP_POINTER(C);
#pragma GCC unroll 3
    for (int j = 0; j < V; j++) {
      if (mode == GEMM_SUBTRACT) s[r][j] = vsub(vset(-0.0f), s[r][j]);
      if (whole) vstore(C + j * VW, s[r][j]);
      else vstore_part(C + j * VW, s[r][j], part);
    }
  }
}

/* WebAssembly computes every address: there packed rows have strides that the compiler knows. */
#if defined(__wasm__)
enum { CONSTANT_STRIDES = 1 };
#else
enum { CONSTANT_STRIDES = 0 };
#endif

/* Tiles of 1 .. MR rows; of NV vectors, one vector, a part of a vector. */
typedef void (*tile_fn)(int part, long K, const float *A, long rowA, long colA, const float *B, long ldb, float *C, long ldc,
                        int mode, ahead *next);
#define TILE(R, name, V, whole)                                                                                        \
  static void name##R(int part, long K, const float *A, long rowA, long colA, const float *B, long ldb, float *C, long ldc, \
                      int mode, ahead *next) {                                                                         \
    if (CONSTANT_STRIDES && rowA == 1 && colA == PA)                                                                   \
      tile(R, V, whole, part, K, A, 1, PA, B, ldb, C, ldc, mode, next);                                                \
    else tile(R, V, whole, part, K, A, rowA, colA, B, ldb, C, ldc, mode, next);                                        \
  }
#define TILES(R) TILE(R, wide, NV, 1) TILE(R, narrow, 1, 1) TILE(R, partial, 1, 0)
#define NAMES4(name) name##1, name##2, name##3, name##4
TILES(1) TILES(2) TILES(3) TILES(4)
#if defined(__AVX512F__) || defined(__aarch64__)
#define NAMES(name) {NAMES4(name), name##5, name##6, name##7, name##8}
TILES(5) TILES(6) TILES(7) TILES(8)
#elif defined(__AVX2__)
#define NAMES(name) {NAMES4(name), name##5, name##6}
TILES(5) TILES(6)
#else
#define NAMES(name) {NAMES4(name)}
#endif
enum { WIDE, NARROW, PARTIAL };
static const tile_fn tiles[3][MR] = {NAMES(wide), NAMES(narrow), NAMES(partial)};

/* C[m,n] for m <= MR, n <= NR. */
static void any_tile(long m, long n, long K, const float *A, long rowA, long colA, const float *B, long ldb, float *C,
                     long ldc, int mode, ahead *next) {
  if (n == NR) {
    tiles[WIDE][m - 1](0, K, A, rowA, colA, B, ldb, C, ldc, mode, next);
    return;
  }
  while (n >= VW) {
    tiles[NARROW][m - 1](0, K, A, rowA, colA, B, ldb, C, ldc, mode, next);
    B += VW, C += VW, n -= VW;
  }
  if (n > 0) tiles[PARTIAL][m - 1]((int)n, K, A, rowA, colA, B, ldb, C, ldc, mode, next);
}

/* Rows per tile: as equal as can be, so that no tile is left with too few chains to hide the latency of an addition. */
static long tile_rows(long M) {
  long count = (M + MR - 1) / MR;
  return (M + count - 1) / count;
}

void small_gemm(long M, long N, long K, const float *A, long rowA, long colA, const float *B, long ldb, float *C, long ldc,
                int mode) {
  if (M <= 0) return;
  long rows = tile_rows(M);
  for (long j = 0; j < N; j += NR)
    for (long i = 0; i < M; i += rows)
      any_tile(MIN(rows, M - i), MIN(NR, N - j), K, A + i * rowA, rowA, colA, B + j, ldb, C + i * ldc + j, ldc, mode, NULL);
}

/* Columns of out: rows x[0..w) of K contiguous floats, padded to `width` columns with copies of the last row. */
static void pack_rows(long w, long K, const float *X, long stride, float *out, long width) {
  for (long r = 0; r < width; r += TRANSPOSE) {
    const float *x[TRANSPOSE];
    for (long t = 0; t < TRANSPOSE; t++) x[t] = X + MIN(r + t, w - 1) * stride;
    long k = 0;
    for (; k + TRANSPOSE <= K; k += TRANSPOSE) transpose_square(x, k, out + k * width + r, width);
    for (; k < K; k++)
      for (long t = 0; t < TRANSPOSE; t++) out[k * width + r + t] = x[t][k];
  }
}

/* `panel` rows of X side by side, k after k: out[panel][k][row], rows of out `width` apart. What lies beyond the rows is
   never read as a result. */
static void pack(long rows, long K, const float *X, long stride, long step, float *out, long panel, long width) {
  for (long i = 0; i < rows; i += panel, X += panel * stride, out += K * width) {
    long w = MIN(panel, rows - i);
    if (step == 1) pack_rows(w, K, X, stride, out, width);
    else if (stride == 1 && w == NR && width == NR)
      for (long k = 0; k < K; k++)
        for (long r = 0; r < NR; r += VW) vstore(out + k * NR + r, vload(X + k * step + r));
    else if (stride == 1)
      for (long k = 0; k < K; k++)
        for (long r = 0; r < width; r += VW)
          vstore(out + k * width + r, vload_part(X + k * step + r, (int)MAX(0, MIN(VW, w - r))));
    else
      for (long k = 0; k < K; k++)
        for (long r = 0; r < w; r++) out[k * width + r] = X[r * stride + k * step];
  }
}

/* Panels of NR rows stored in 16 bits, where one of the strides is 1. */
static void pack_stored(long rows, long K, const uint16_t *X, int type, long stride, long step, float *out) {
  float piece[NR * KC];
  for (long i = 0; i < rows; i += NR, X += NR * stride, out += K * NR) {
    long w = MIN(NR, rows - i);
    if (step == 1) {
      for (long r = 0; r < w; r++) q_load(X + r * stride, type, K, piece + r * KC);
      pack_rows(w, K, piece, KC, out, NR);
    } else
      for (long k = 0; k < K; k++) q_load(X + k * step, type, w, out + k * NR);
  }
}

/* Parts of at most `most` that are about equal and multiples of `unit`. */
static long even(long extent, long most, long unit) {
  long parts = (extent + most - 1) / most;
  return parts > 1 ? ((extent + parts - 1) / parts + unit - 1) / unit * unit : extent;
}

void gemm_stored(long M, long N, long K, const float *A, long rowA, long colA, const void *B, int type, long rowB, long colB,
                 float *C, long ldc, int mode) {
  if (M <= 0 || N <= 0) return;
  int lower = mode == GEMM_LOWER;
  if (lower) mode = GEMM_SET;
  if (K == 0 && mode == GEMM_SET)
    for (long i = 0; i < M; i++) memset(C + i * ldc, 0, N * sizeof(float));
  /* An operand with a stride of 1 is read where it is if it is small or used for few tiles, unless rows of A would fall on the
     same lines of the cache. */
  int smallA = (double)M * K <= 262144, smallB = (double)N * K <= 131072;
  int plainA = rowA == 1 ? N <= 256 || smallA : colA == 1 && rowA % 1024 && smallA;
  int plainB = type == TYPE_F32 && colB == 1 && (M <= 256 || smallB);
  long NC = M > MC ? 1024 : 128, mb = even(M, MC, MR), kb = even(K, KC, TRANSPOSE), bytes = TYPE_BYTES(type);
  /* The last row of a panel narrower than a vector is written as a whole vector. */
  float *pa = plainA ? NULL : scratch(SCRATCH_PACK_A, (MC / MR * PA * KC + VW) * sizeof(float));
  float *pb = plainB ? NULL : scratch(SCRATCH_PACK_B, (MIN(NC, N) + NR) * KC * sizeof(float));
  for (long kc = 0; kc < K; kc += kb) {
    long kn = MIN(kb, K - kc);
    int load = kc > 0 && mode == GEMM_SET ? GEMM_ADD : mode;
    for (long jc = 0; jc < N; jc += NC) {
      long nc = MIN(NC, N - jc);
      for (long ic = 0; ic < M; ic += mb) {
        long mc = MIN(mb, M - ic), rows = tile_rows(mc);
        const float *a = A + ic * rowA + kc * colA;
        if (!plainA) pack(mc, kn, a, rowA, colA, pa, rows, PA);
        /* What comes after this block. */
        int last = ic + mc == M, end = last && jc + nc == N;
        long i2 = last ? 0 : ic + mc, j2 = end ? 0 : jc + nc, k2 = end ? kc + kn : kc, kn2 = MIN(kb, K - k2);
        ahead nextA = fetch(A + i2 * rowA + k2 * colA, sizeof(float), MIN(mb, M - i2), kn2, rowA, colA);
        for (long j = 0; j < nc; j += NR) {
          long n = MIN(NR, nc - j), ldb = plainB ? rowB : NR;
          const char *from = (const char *)B + ((jc + j) * colB + kc * rowB) * (int64_t)bytes;
          const float *b = plainB ? (const float *)from : pb + j * kn;
          if (ic == 0 && type != TYPE_F32) pack_stored(n, kn, (const uint16_t *)from, type, colB, rowB, pb + j * kn);
          else if (ic == 0 && !plainB) pack(n, kn, (const float *)from, colB, rowB, pb + j * kn, NR, NR);
          ahead nextB = {0};
          if (j + NR >= nc && last)
            nextB = fetch((const char *)B + (j2 * colB + k2 * rowB) * (int64_t)bytes, bytes, kn2, MIN(NR, N - j2), rowB, colB);
          else if (j + NR < nc && ic == 0)
            nextB = fetch(from + NR * colB * bytes, bytes, kn, MIN(NR, nc - j - NR), rowB, colB);
          for (long i = 0, p = 0; i < mc; i += rows, p++) {
            float *c = C + (ic + i) * ldc + jc + j;
            long m = MIN(rows, mc - i), w = n;
            if (lower) w = MIN(n, (ic + i + m - jc - j + VW - 1) / VW * VW);
            if (w <= 0) continue;
            ahead *next = nextB.lines > 0 ? &nextB : &nextA;
            if (plainA) any_tile(m, w, kn, a + i * rowA, rowA, colA, b, ldb, c, ldc, load, next);
            else any_tile(m, w, kn, pa + p * kn * PA, 1, PA, b, ldb, c, ldc, load, next);
          }
        }
      }
    }
  }
}

void gemm_serial(long M, long N, long K, const float *A, long rowA, long colA, const float *B, long rowB, long colB, float *C,
                 long ldc, int mode) {
  gemm_stored(M, N, K, A, rowA, colA, B, TYPE_F32, rowB, colB, C, ldc, mode);
}
