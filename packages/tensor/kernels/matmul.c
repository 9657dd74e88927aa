/* The matrix products as kernels: cut into blocks of the output for the threads, never along k. */
#include "gemm.h"
#include "half.h"

/* `count` products of one shape, or of one shape but for the rows that belong to each expert. */
typedef struct {
  long count, M, N, K, rowA, colA, rowB, colB, ldc, tileM, tileN, form;
  int64_t stepA, stepB, stepC;
  const float *A;
  const void *B;
  float *C;
  int type, mode;
  const int32_t *offsets; /* of experts; then `form` as in gemm_grouped and `first`, the number of each one's first block */
  const long *first;
} products;

/* Up to FEW rows of A are few: the time goes into reading B. PIECE numbers of B are widened at a time. */
enum { FEW = 4, PIECE = 512 };

static long blocks(long extent, long tile) { return (extent + tile - 1) / tile; }
static const void *stored_at(const void *x, int type, int64_t at) { return (const char *)x + at * TYPE_BYTES(type); }

/* The rows of one expert: the extent of the output (forms 0 and 1), or of the sum (form 2). */
static long expert_rows(const products *g, long e) { return g->offsets[e + 1] - g->offsets[e]; }

/* C[M,N] = A B of a few rows with B stored [K,N], reading B from front to back; the sums wait in C. Each is the chain over k
   that gemm_stored computes. */
static void few_rows_by_rows(long M, long N, long K, const float *A, long rowA, const void *B, int type, long rowB, float *C,
                             long ldc) {
  float wide[PIECE];
  for (long i = 0; i < M; i++) memset(C + i * ldc, 0, N * sizeof(float));
  for (long k = 0; k < K; k++)
    for (long at = 0, n; at < N; at += n) {
      const float *w = stored_at(B, type, k * (int64_t)rowB + at);
      n = type == TYPE_F32 ? N : MIN(PIECE, N - at);
      if (type != TYPE_F32) q_load(w, type, n, wide), w = wide;
      for (long i = 0; i < M; i++) {
        float *c = C + i * ldc + at, x = A[i * rowA + k];
        long j = 0;
        for (vf y = vset(x); j + VW <= n; j += VW) vstore(c + j, vfma(y, vload(w + j), vload(c + j)));
        for (; j < n; j++) c[j] = q_fma(x, w[j], c[j]);
      }
    }
}

static void run_blocks(void *context, long begin, long end) {
  const products *g = context;
  long columns = blocks(g->N, g->tileN), e = 0;
  for (long t = begin; t < end; t++) {
    long M = g->M, K = g->K, at;
    int64_t a, b, c;
    if (g->offsets) {
      while (g->first[e + 1] <= t) e++;
      at = t - g->first[e];
      if (g->form == 2) K = expert_rows(g, e);
      else M = expert_rows(g, e);
      a = g->offsets[e] * g->stepA, b = g->form == 2 ? g->offsets[e] * g->stepB : e * g->stepB;
      c = g->form == 2 ? e * g->stepC : g->offsets[e] * g->stepC;
    } else {
      long each = blocks(M, g->tileM) * columns;
      e = t / each, at = t % each;
      a = e * g->stepA, b = e * g->stepB, c = e * g->stepC;
    }
    long i = at / columns * g->tileM, j = at % columns * g->tileN;
    if (g->offsets && g->form == 0 && M <= FEW) {
      few_rows_by_rows(M, MIN(g->tileN, g->N - j), K, g->A + a, g->rowA, stored_at(g->B, g->type, b + j), g->type, g->rowB,
                       g->C + c + j, g->ldc);
      continue;
    }
    gemm_stored(MIN(g->tileM, M - i), MIN(g->tileN, g->N - j), K, g->A + a + i * g->rowA, g->rowA, g->colA,
                stored_at(g->B, g->type, b + j * g->colB), g->type, g->rowB, g->colB, g->C + c + i * g->ldc + j, g->ldc,
                g->mode);
  }
}

/* Blocks of the output that finish soonest: as many as keep all threads busy, few enough not to prepare operands often.
   In units of 16 multiply-adds; `M` and `K` are means where they differ. */
static void choose_blocks(products *g, double M, double K) {
  long threads = pool_threads();
  double best = 1e300;
  g->tileM = g->M, g->tileN = g->N;
  if (threads == 1 || M * g->N * K * g->count < 100000) return;
  enum { UNIT = 32, MOST = 32 };
  for (long p = 1; p <= MOST && p <= (M + 7) / 8; p++)
    for (long q = 1; q <= MOST && q <= (g->N + UNIT - 1) / UNIT && (p * q == 1 || p * q * g->count <= 16 * threads); q++) {
      double m = (M + p - 1) / p, n = blocks(blocks(g->N, q), UNIT) * UNIT;
      double one = K * (m * n / 16 + 0.2 * m + 0.3 * n) + 300, rounds = blocks(p * q * g->count, threads);
      if (rounds * one + 0.1 * one >= best) continue;
      best = rounds * one + 0.1 * one;
      g->tileM = (long)m;
      g->tileN = (long)n;
    }
}

/* The dot products of R rows of x with one row of W, on top of what `sums` holds: 16 lanes each. */
static inline __attribute__((always_inline)) void dots(const int R, long n, const float *const *x, const float *w,
                                                       float (*sums)[LANES]) {
  enum { PARTS = LANES / VW };
  vf s[4][PARTS];
  for (int r = 0; r < R; r++)
    for (int c = 0; c < PARTS; c++) s[r][c] = vload(sums[r] + c * VW);
  long k = 0;
  for (; k + LANES <= n; k += LANES)
    for (int c = 0; c < PARTS; c++) {
      vf y = vload(w + k + c * VW);
      for (int r = 0; r < R; r++) s[r][c] = vfma(vload(x[r] + k + c * VW), y, s[r][c]);
    }
  for (int r = 0; r < R; r++)
    for (int c = 0; c < PARTS; c++) vstore(sums[r] + c * VW, s[r][c]);
  for (int r = 0; r < R; r++)
    for (long t = k; t < n; t++) sums[r][t - k] = q_fma(x[r][t], w[t], sums[r][t - k]);
}

/* A few rows times W^T, the shape of decoding: a fixed 16-lane tree per output. W is read once and from front to back, one
   row at a time: several rows at once would be several streams, at half the speed from memory. */
static inline __attribute__((always_inline)) void few_rows(const int R, const products *g, long begin, long end) {
  float wide[PIECE];
  for (long n = begin; n < end; n++) {
    float sums[4][LANES];
    memset(sums, 0, R * sizeof *sums);
    long step = g->type == TYPE_F32 ? g->K : PIECE;
    for (long k = 0; k < g->K; k += step) {
      long count = MIN(step, g->K - k);
      const void *row = stored_at(g->B, g->type, n * (int64_t)g->colB + k);
      const float *x[4];
      for (int r = 0; r < R; r++) x[r] = g->A + r * g->rowA + k;
      if (g->type != TYPE_F32) q_load(row, g->type, count, wide);
      dots(R, count, x, g->type == TYPE_F32 ? row : wide, sums);
    }
    for (int r = 0; r < R; r++) {
      float y = lane_sum(sums[r]), *c = g->C + r * g->ldc + n;
      *c = g->mode == GEMM_ADD ? *c + y : y;
    }
  }
}
#define FEW_ROWS(R) \
  static void few_rows##R(void *g, long begin, long end) { few_rows(R, g, begin, end); }
FEW_ROWS(1) FEW_ROWS(2) FEW_ROWS(3) FEW_ROWS(4)
static const range_fn few[FEW] = {few_rows1, few_rows2, few_rows3, few_rows4};

/* C[M,N] (+)= op(A) op(B), a transposed operand stored [K,M] or [N,K]; B is stored as typeB.
   p: A, B, C; n: M N K transA transB accumulate batch stepA stepB stepC typeB */
KERNEL(gemm) {
  long M = L(0), N = L(1), K = L(2);
  int ta = (int)a->n[3], tb = (int)a->n[4];
  products g = {.count = L(6), .M = M, .N = N, .K = K, .rowA = ta ? 1 : K, .colA = ta ? M : 1, .rowB = tb ? 1 : N,
                .colB = tb ? K : 1, .ldc = N, .stepA = (int64_t)a->n[7], .stepB = (int64_t)a->n[8],
                .stepC = (int64_t)a->n[9], .A = F(0), .B = a->p[1], .C = F(2), .type = (int)a->n[10], .mode = (int)a->n[5]};
  if (M <= 0 || N <= 0) return;
  if (M <= FEW && tb && !ta && g.count == 1) {
    parallel_for(N, 1 + 32768 / (K + 1), few[M - 1], &g);
    return;
  }
  choose_blocks(&g, M, K);
  double each = (double)MIN(M, g.tileM) * MIN(N, g.tileN) * K;
  parallel_for(g.count * blocks(M, g.tileM) * blocks(N, g.tileN), 1 + (long)(50000 / (each + 1)), run_blocks, &g);
}

/* Rows sorted by expert, W stored as typeW; p: x, w, y, offsets[E+1]; n: form E in out typeW.
   form 0: y = x W_e; form 1: y = x W_e^T; form 2: y_e = x^T w (w holds the output gradients, typeW 0). */
KERNEL(gemm_grouped) {
  long form = L(0), E = L(1), in = L(2), out = L(3);
  const int32_t *offsets = I(3);
  long rows = offsets[E] - offsets[0], *first = scratch(SCRATCH_KERNEL, (E + 1) * sizeof(long));
  products g = {.count = E, .form = form, .A = F(0), .B = a->p[1], .C = F(2), .type = (int)a->n[4], .offsets = offsets, .first = first};
  if (form == 0)
    g.M = rows, g.N = out, g.K = in, g.rowA = in, g.colA = 1, g.rowB = out, g.colB = 1, g.ldc = out, g.stepA = in,
    g.stepB = (int64_t)in * out, g.stepC = out;
  else if (form == 1)
    g.M = rows, g.N = in, g.K = out, g.rowA = out, g.colA = 1, g.rowB = 1, g.colB = out, g.ldc = in, g.stepA = out,
    g.stepB = (int64_t)in * out, g.stepC = in;
  else
    g.M = in, g.N = out, g.K = rows, g.rowA = 1, g.colA = in, g.rowB = out, g.colB = 1, g.ldc = out, g.stepA = in, g.stepB = out,
    g.stepC = (int64_t)in * out;
  choose_blocks(&g, form == 2 ? in : (double)rows / E, form == 2 ? (double)rows / E : g.K);
  g.tileM = MAX(4 * 14, g.tileM); /* of few rows, more time goes into the weights than into the product */
  g.tileN = MAX(1, g.tileN);
  first[0] = 0;
  for (long e = 0; e < E; e++)
    first[e + 1] = first[e] + blocks(form == 2 ? in : expert_rows(&g, e), g.tileM) * blocks(g.N, g.tileN);
  parallel_for(first[E], 1, run_blocks, &g);
}
