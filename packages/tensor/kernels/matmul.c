/* The matrix products as kernels: cut into blocks of the output for the threads, never along k. */
#include "gemm.h"
#include "half.h"
#include "scalar.h"
#include "swiglu.h"

/* `count` products of one shape, or of one shape but for the rows that belong to each expert. */
typedef struct {
  long count, M, N, K, rowA, colA, rowB, colB, ldc, tileM, tileN, form;
  int64_t stepA, stepB, stepC;
  const float *A;
  const void *B;
  float *C;
  const float *bias, *plus; /* added to the columns; to C, laid out as it is; or NULL */
  int type, mode, few;
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

/* R rows of x[K] times W[N,K]^T, the shape of decoding: a fixed 16-lane tree per output. W is read once and from front to
   back, one row at a time: several rows at once would be several streams, at half the speed from memory. */
static inline __attribute__((always_inline)) void rows_times(const int R, const int type, long N, long K, const float *x,
                                                             const void *W, float *y, long ldy, int mode) {
  enum { PARTS = LANES / VW };
  for (long n = 0; n < N; n++) {
    const char *w = stored_at(W, type, n * (int64_t)K);
    vf s[FEW][PARTS];
    for (int r = 0; r < R; r++)
      for (int c = 0; c < PARTS; c++) s[r][c] = vset(0.0f);
    long k = 0;
    for (; k + LANES <= K; k += LANES)
      for (int c = 0; c < PARTS; c++) {
        vf v = vload_stored(w + (k + c * VW) * TYPE_BYTES(type), type);
        for (int r = 0; r < R; r++) s[r][c] = vfma(vload(x + r * K + k + c * VW), v, s[r][c]);
      }
    float rest[LANES];
    q_load(w + k * TYPE_BYTES(type), type, K - k, rest);
    for (int r = 0; r < R; r++) {
      float sums[LANES], *c = y + r * ldy + n;
      for (int p = 0; p < PARTS; p++) vstore(sums + p * VW, s[r][p]);
      for (long t = k; t < K; t++) sums[t - k] = q_fma(x[r * K + t], rest[t - k], sums[t - k]);
      *c = mode == GEMM_ADD ? *c + lane_sum(sums) : lane_sum(sums);
    }
  }
}
#define FEW_ROWS(R, type)                                                                                  \
  static void rows##R##type(long N, long K, const float *x, const void *W, float *y, long ldy, int mode) { \
    rows_times(R, type, N, K, x, W, y, ldy, mode);                                                         \
  }
#define FEW_TYPES(R) FEW_ROWS(R, 0) FEW_ROWS(R, 1) FEW_ROWS(R, 2)
FEW_TYPES(1) FEW_TYPES(2) FEW_TYPES(3) FEW_TYPES(4)
static void (*const few_rows[FEW][3])(long N, long K, const float *x, const void *W, float *y, long ldy, int mode) = {
    {rows10, rows11, rows12}, {rows20, rows21, rows22}, {rows30, rows31, rows32}, {rows40, rows41, rows42}};

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
    if (g->mode == GEMM_LOWER && i < j) continue;
    long m = MIN(g->tileM, M - i), n = MIN(g->tileN, g->N - j);
    const void *B = stored_at(g->B, g->type, b + j * g->colB);
    float *C = g->C + c + i * g->ldc + j;
    if (g->few) few_rows[m - 1][g->type](n, K, g->A, B, C, g->ldc, g->mode);
    else
      gemm_stored(m, n, K, g->A + a + i * g->rowA, g->rowA, g->colA, B, g->type, g->rowB, g->colB, C, g->ldc,
                  g->mode == GEMM_LOWER && i > j ? GEMM_SET : g->mode);
    for (long r = 0; g->bias && r < m; r++)
      for (long t = 0; t < n; t++) C[r * g->ldc + t] += g->bias[j + t];
    const float *plus = g->plus ? g->plus + (C - g->C) : NULL;
    for (long r = 0; plus && r < m; r++)
      for (long t = 0; t < n; t++) C[r * g->ldc + t] += plus[r * g->ldc + t];
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
      double wait = 0.5 * one; /* for the last block of another thread */
      if (rounds * one + wait >= best) continue;
      best = rounds * one + wait;
      g->tileM = (long)m;
      g->tileN = (long)n;
    }
}

/* Calls body on all blocks of one kernel's products, none with more than `most` rows or columns. */
static void share_out(products *g, long most, range_fn body) {
  if (g->few) {
    g->tileM = g->M;
    g->tileN = 8 + 32768 / (g->K + 1) / 8 * 8;
  } else if (g->mode == GEMM_LOWER) g->tileM = g->tileN = MAX(64, MIN(384, blocks(blocks(g->N, 6), 16) * 16));
  else choose_blocks(g, g->M, g->K);
  g->tileM = MIN(g->tileM, most), g->tileN = MIN(g->tileN, most);
  double each = (double)MIN(g->M, g->tileM) * MIN(g->N, g->tileN) * g->K;
  parallel_for(g->count * blocks(g->M, g->tileM) * blocks(g->N, g->tileN), 1 + (long)(50000 / (each + 1)), body, g);
}

/* C[M,N] (+)= op(A) op(B) + bias + plus, a transposed operand stored [K,M] or [N,K]; B is stored as typeB.
   p: A, B, C, bias?[N], plus?; n: M N K transA transB accumulate batch stepA stepB stepC typeB */
KERNEL(gemm) {
  long M = L(0), N = L(1), K = L(2);
  int ta = (int)a->n[3], tb = (int)a->n[4];
  products g = {.count = L(6), .M = M, .N = N, .K = K, .rowA = ta ? 1 : K, .colA = ta ? M : 1, .rowB = tb ? 1 : N,
                .colB = tb ? K : 1, .ldc = N, .stepA = (int64_t)a->n[7], .stepB = (int64_t)a->n[8],
                .stepC = (int64_t)a->n[9], .A = F(0), .B = a->p[1], .C = F(2), .bias = F(3), .plus = F(4), .type = (int)a->n[10],
                .mode = (int)a->n[5]};
  if (M <= 0 || N <= 0) return;
  g.few = M <= FEW && tb && !ta && g.count == 1;
  share_out(&g, 1 << 30, run_blocks);
}

void gemm_parallel(long M, long N, long K, const float *A, long rowA, long colA, const float *B, long rowB, long colB, float *C,
                   long ldc, int mode) {
  products g = {.count = 1, .M = M, .N = N, .K = K, .rowA = rowA, .colA = colA, .rowB = rowB, .colB = colB, .ldc = ldc, .A = A,
                .B = B, .C = C, .mode = mode};
  if (M > 0 && N > 0) share_out(&g, 1 << 30, run_blocks);
}

typedef struct {
  products g;
  float *gate, *up;
  const void *W_up;
  const float *kept_gate, *kept_up;
  int streams;
} gated;

/* Rows of a block go past the caches if it will be long before they are read, and they lie well. */
static void keep_rows(const gated *s, long m, long n, const float *from, float *to) {
  int streams = s->streams && n % VW == 0 && s->g.N % VW == 0 && (uintptr_t)to % (VW * sizeof(float)) == 0;
  for (long r = 0; r < m; r++, from += n, to += s->g.N)
    if (!streams) memcpy(to, from, n * sizeof(float));
    else
      for (long c = 0; c < n; c += VW) vstream(to + c, vload(from + c));
}

static void gated_row(long n, const float *restrict gate, const float *restrict up, float *restrict y) {
  for (long c = 0; c < n; c++) y[c] = q_silu(gate[c]) * up[c];
}

static void gated_blocks(void *context, long begin, long end) {
  const gated *s = context;
  const products *g = &s->g;
  long columns = blocks(g->N, g->tileN);
  for (long t = begin; t < end; t++) {
    long i = t / columns * g->tileM, j = t % columns * g->tileN, m = MIN(g->tileM, g->M - i), n = MIN(g->tileN, g->N - j);
    float *gate = scratch(SCRATCH_KERNEL, 2 * m * n * sizeof(float)), *up = gate + m * n;
    const float *x = g->A + i * g->K;
    const void *W[] = {stored_at(g->B, g->type, j * (int64_t)g->K), stored_at(s->W_up, g->type, j * (int64_t)g->K)};
    for (int w = 0; w < 2; w++)
      if (g->few) few_rows[m - 1][g->type](n, g->K, x, W[w], w ? up : gate, n, GEMM_SET);
      else gemm_stored(m, n, g->K, x, g->K, 1, W[w], g->type, 1, g->K, w ? up : gate, n, GEMM_SET);
    for (long r = 0; r < m; r++) gated_row(n, gate + r * n, up + r * n, g->C + (i + r) * g->N + j);
    if (!s->gate) continue;
    keep_rows(s, m, n, gate, s->gate + i * g->N + j);
    keep_rows(s, m, n, up, s->up + i * g->N + j);
  }
  if (s->streams) vstream_end();
}
/* y = silu(x Wg^T) * (x Wu^T), Wg and Wu [N,K] stored as typeW; what the two products were is kept where asked for.
   p: y[M,N], gate? up?[M,N], x[M,K], Wg, Wu; n: M N K typeW */
KERNEL(gemm_swiglu) {
  enum { FAR = 1 << 20 }; /* numbers in both that no longer fit the caches when a backward pass comes to them */
  gated s = {.g = {.count = 1, .M = L(0), .N = L(1), .K = L(2), .rowA = L(2), .colA = 1, .rowB = 1, .colB = L(2), .ldc = L(1),
                   .A = F(3), .B = a->p[4], .C = F(0), .type = (int)a->n[3]},
             .gate = F(1), .up = F(2), .W_up = a->p[5]};
  if (s.g.M <= 0 || s.g.N <= 0) return;
  s.streams = s.gate && s.g.M * s.g.N > FAR;
  s.g.few = s.g.M <= FEW;
  share_out(&s.g, 256, gated_blocks);
}

static void gated_backward_blocks(void *context, long begin, long end) {
  const gated *s = context;
  const products *g = &s->g;
  long columns = blocks(g->N, g->tileN);
  for (long t = begin; t < end; t++) {
    long i = t / columns * g->tileM, j = t % columns * g->tileN, m = MIN(g->tileM, g->M - i), n = MIN(g->tileN, g->N - j);
    float *dy = scratch(SCRATCH_KERNEL, m * n * sizeof(float));
    gemm_stored(m, n, g->K, g->A + i * g->K, g->K, 1, stored_at(g->B, g->type, j), g->type, g->N, 1, dy, n, GEMM_SET);
    for (long r = 0; r < m; r++) {
      long at = (i + r) * g->N + j;
      swiglu_backward_row(n, s->kept_gate + at, s->kept_up + at, dy + r * n, s->gate + at, s->up + at);
    }
  }
}
/* From the gradient d of y W^T, W [K,N] stored as typeW, to those of the kept products of gemm_swiglu, in whose place they may
   stand; dy = d W is not kept. p: dgate[M,N] dup[M,N] gate[M,N] up[M,N] d[M,K] W; n: M N K typeW */
KERNEL(gemm_swiglu_backward) {
  gated s = {.g = {.count = 1, .M = L(0), .N = L(1), .K = L(2), .A = F(4), .B = a->p[5], .type = (int)a->n[3]},
             .gate = F(0), .up = F(1), .kept_gate = F(2), .kept_up = F(3)};
  if (s.g.M > 0 && s.g.N > 0) share_out(&s.g, 256, gated_backward_blocks);
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
  g.tileM = MAX(56, g.tileM); /* of few rows, more time goes into the weights than into the product */
  g.tileN = MAX(1, g.tileN);
  first[0] = 0;
  for (long e = 0; e < E; e++)
    first[e + 1] = first[e] + blocks(form == 2 ? in : expert_rows(&g, e), g.tileM) * blocks(g.N, g.tileN);
  parallel_for(first[E], 1, run_blocks, &g);
}
