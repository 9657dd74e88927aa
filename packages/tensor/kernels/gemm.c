/* Matrix products: a register micro-kernel over packed or plain operands, and k in one chain per output element, so that
   blocking, vector width and thread count leave the bits alone (a partial sum that goes through memory is still the same
   float). */
#include "gemm.h"

/* A tile holds MR rows of NV vectors in registers. Packed rows of A lie PA apart: a multiple of the transposed square. */
#if defined(__AVX512F__)
enum { MR = 14, PA = 16 };
#elif defined(__AVX2__)
enum { MR = 6, PA = 8 };
#else
enum { MR = 4, PA = 4 };
#endif
enum { NV = 2, NR = NV * VW, KC = 256, MC = 10 * MR };

/* C[R, V vectors] by A[R,K] B[K, V vectors]; the last vector holds `part` floats. */
static inline __attribute__((always_inline)) void tile(const int R, const int V, const int whole, int part, long K,
                                                       const float *A, long rowA, long colA, const float *B, long ldb,
                                                       float *C, long ldc, int mode) {
  vf s[MR][NV];
#pragma GCC unroll 14
  for (int r = 0; r < R; r++)
#pragma GCC unroll 2
    for (int j = 0; j < V; j++) {
      const float *c = C + r * ldc + j * VW;
      s[r][j] = mode == GEMM_SET ? vset(0.0f) : whole ? vload(c) : vload_part(c, part);
      if (mode == GEMM_SUBTRACT) s[r][j] = vsub(vset(-0.0f), s[r][j]);
    }
  for (long k = 0; k < K; k++, B += ldb, A += colA) {
    vf b[NV];
#pragma GCC unroll 2
    for (int j = 0; j < V; j++) b[j] = whole ? vload(B + j * VW) : vload_part(B + j * VW, part);
    const float *a = A;
#pragma GCC unroll 14
    for (int r = 0; r < R; r++) {
      vf x = vset(a[r % 4 * rowA]);
#pragma GCC unroll 2
      for (int j = 0; j < V; j++) s[r][j] = vfma(x, b[j], s[r][j]);
      if (r % 4 == 3) a += 4 * rowA;
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < R; r++)
#pragma GCC unroll 2
    for (int j = 0; j < V; j++) {
      float *c = C + r * ldc + j * VW;
      if (mode == GEMM_SUBTRACT) s[r][j] = vsub(vset(-0.0f), s[r][j]);
      if (whole) vstore(c, s[r][j]);
      else vstore_part(c, s[r][j], part);
    }
}

/* Tiles of 1 .. MR rows; of two vectors, one vector, a part of a vector. */
typedef void (*tile_fn)(int part, long K, const float *A, long rowA, long colA, const float *B, long ldb, float *C, long ldc,
                        int mode);
#define TILE(R, name, V, whole)                                                                                        \
  static void name##R(int part, long K, const float *A, long rowA, long colA, const float *B, long ldb, float *C, long ldc, \
                      int mode) {                                                                                      \
    tile(R, V, whole, part, K, A, rowA, colA, B, ldb, C, ldc, mode);                                                   \
  }
#define TILES(R) TILE(R, wide, 2, 1) TILE(R, narrow, 1, 1) TILE(R, partial, 1, 0)
#define NAMES4(name) name##1, name##2, name##3, name##4
TILES(1) TILES(2) TILES(3) TILES(4)
#if defined(__AVX512F__)
#define NAMES(name) {NAMES4(name), name##5, name##6, name##7, name##8, name##9, name##10, name##11, name##12, name##13, name##14}
TILES(5) TILES(6) TILES(7) TILES(8) TILES(9) TILES(10) TILES(11) TILES(12) TILES(13) TILES(14)
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
                     long ldc, int mode) {
  if (n == NR) {
    tiles[WIDE][m - 1](0, K, A, rowA, colA, B, ldb, C, ldc, mode);
    return;
  }
  if (n >= VW) {
    tiles[NARROW][m - 1](0, K, A, rowA, colA, B, ldb, C, ldc, mode);
    B += VW, C += VW, n -= VW;
  }
  if (n > 0) tiles[PARTIAL][m - 1]((int)n, K, A, rowA, colA, B, ldb, C, ldc, mode);
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
      any_tile(MIN(rows, M - i), MIN(NR, N - j), K, A + i * rowA, rowA, colA, B + j, ldb, C + i * ldc + j, ldc, mode);
}

/* `width` rows side by side, k after k: out[panel][k][row in panel], rows of out `width` apart, missing rows zero. */
static void pack(long rows, long K, const float *X, long stride, long step, float *out, long panel, long width) {
  for (long i = 0; i < rows; i += panel, X += panel * stride, out += K * width) {
    long w = MIN(panel, rows - i);
    if (stride == 1) {
      for (long k = 0; k < K; k++) memcpy(out + k * width, X + k * step, w * sizeof(float));
      for (long k = 0; w < width && k < K; k++) memset(out + k * width + w, 0, (width - w) * sizeof(float));
      continue;
    }
    if (step == 1) transpose_small(w, K, X, stride, out, width);
    else
      for (long k = 0; k < K; k++)
        for (long r = 0; r < w; r++) out[k * width + r] = X[r * stride + k * step];
    if (w < width)
      for (long k = 0; k < K; k++) memset(out + k * width + w, 0, (width - w) * sizeof(float));
  }
}

void gemm_serial(long M, long N, long K, const float *A, long rowA, long colA, const float *B, long rowB, long colB,
                 float *C, long ldc, int mode) {
  if (M <= 0 || N <= 0) return;
  if (K == 0 && mode == GEMM_SET)
    for (long i = 0; i < M; i++) memset(C + i * ldc, 0, N * sizeof(float));
  long NC = M > MC ? 2048 : 256;
  float *pa = scratch(SCRATCH_PACK_A, (MC + MR) * PA / MR * KC * sizeof(float));
  float *pb = scratch(SCRATCH_PACK_B, (MIN(NC, N) + NR) * KC * sizeof(float));
  for (long kc = 0; kc < K; kc += KC) {
    long kn = MIN(KC, K - kc);
    int load = kc > 0 && mode == GEMM_SET ? GEMM_ADD : mode;
    for (long jc = 0; jc < N; jc += NC) {
      long nc = MIN(NC, N - jc);
      pack(nc, kn, B + jc * colB + kc * rowB, colB, rowB, pb, NR, NR);
      for (long ic = 0; ic < M; ic += MC) {
        long mc = MIN(MC, M - ic), rows = tile_rows(mc);
        pack(mc, kn, A + ic * rowA + kc * colA, rowA, colA, pa, rows, PA);
        for (long j = 0; j < nc; j += NR)
          for (long i = 0, p = 0; i < mc; i += rows, p++)
            any_tile(MIN(rows, mc - i), MIN(NR, nc - j), kn, pa + p * kn * PA, 1, PA, pb + j * kn, NR,
                     C + (ic + i) * ldc + jc + j, ldc, load);
      }
    }
  }
}

typedef struct {
  long M, N, K, rowA, colA, rowB, colB, ldc, stepA, stepB, stepC, tiles, by_rows, tile;
  const float *A, *B;
  float *C;
  int accumulate;
} product;

static void product_tiles(void *context, long begin, long end) {
  product *g = context;
  for (long t = begin; t < end; t++) {
    long batch = t / g->tiles, at = t % g->tiles * g->tile;
    const float *A = g->A + batch * g->stepA, *B = g->B + batch * g->stepB;
    float *C = g->C + batch * g->stepC;
    if (g->by_rows)
      gemm_serial(MIN(g->tile, g->M - at), g->N, g->K, A + at * g->rowA, g->rowA, g->colA, B, g->rowB, g->colB,
                  C + at * g->ldc, g->ldc, g->accumulate);
    else
      gemm_serial(g->M, MIN(g->tile, g->N - at), g->K, A, g->rowA, g->colA, B + at * g->colB, g->rowB, g->colB, C + at,
                  g->ldc, g->accumulate);
  }
}

/* One row (or a few) times W^T, the shape of decoding: reads W once, a fixed 16-lane tree per output. */
static void few_rows(void *context, long begin, long end) {
  product *g = context;
  for (long j = begin; j < end; j++)
    for (long i = 0; i < g->M; i++) {
      float y = dot_fixed(g->A + i * g->rowA, g->B + j * g->colB, g->K);
      float *c = g->C + i * g->ldc + j;
      *c = g->accumulate ? *c + y : y;
    }
}

/* p: A, B, C; n: M N K transA transB accumulate batch stepA stepB stepC */
KERNEL(gemm) {
  long M = L(0), N = L(1), K = L(2), batch = L(6);
  int ta = (int)a->n[3], tb = (int)a->n[4];
  product g = {.M = M, .N = N, .K = K, .rowA = ta ? 1 : K, .colA = ta ? M : 1, .rowB = tb ? 1 : N, .colB = tb ? K : 1,
               .ldc = N, .stepA = L(7), .stepB = L(8), .stepC = L(9), .A = F(0), .B = F(1), .C = F(2),
               .accumulate = (int)a->n[5]};
  if (M <= 2 && tb && !ta && batch == 1) {
    parallel_for(N, 1 + 32768 / (K + 1), few_rows, &g);
    return;
  }
  long parts = (int64_t)M * N * K < 200000 ? 1 : pool_threads() * 2;
  g.by_rows = M >= N / 2;
  long extent = g.by_rows ? M : N, unit = g.by_rows ? MC : 2 * NR;
  g.tile = MAX(unit, ((extent + parts - 1) / parts + unit - 1) / unit * unit);
  g.tiles = MAX(1, (extent + g.tile - 1) / g.tile);
  parallel_for(batch * g.tiles, 1, product_tiles, &g);
}

typedef struct {
  long form, in, out;
  const float *x, *w;
  float *y;
  const int32_t *offsets;
} grouped;

static void grouped_experts(void *context, long begin, long end) {
  grouped *g = context;
  for (long e = begin; e < end; e++) {
    long at = g->offsets[e], rows = g->offsets[e + 1] - at, in = g->in, out = g->out;
    if (g->form == 0)
      gemm_serial(rows, out, in, g->x + at * in, in, 1, g->w + e * in * out, out, 1, g->y + at * out, out, 0);
    else if (g->form == 1)
      gemm_serial(rows, in, out, g->x + at * out, out, 1, g->w + e * in * out, 1, out, g->y + at * in, in, 0);
    else
      gemm_serial(in, out, rows, g->x + at * in, 1, in, g->w + at * out, out, 1, g->y + e * in * out, out, 0);
  }
}

/* Rows sorted by expert; p: x, w, y, offsets[E+1]; n: form E in out.
   form 0: y = x W_e; form 1: y = x W_e^T; form 2: y_e = x^T w (w holds the output gradients). */
KERNEL(gemm_grouped) {
  grouped g = {L(0), L(2), L(3), F(0), F(1), F(2), I(3)};
  parallel_for(L(1), 1, grouped_experts, &g);
}
