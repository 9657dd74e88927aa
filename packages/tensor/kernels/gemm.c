/* Matrix products: packed panels, a register micro-kernel, and k in one chain per output element, so that blocking,
   vector width and thread count leave the bits alone (a partial sum that goes through memory is still the same float). */
#include "gemm.h"

#if defined(__AVX512F__)
enum { MR = 8, NV = 2 };
#elif defined(__AVX2__)
enum { MR = 6, NV = 2 };
#else
enum { MR = 4, NV = 2 };
#endif
enum { NR = NV * VW, KC = 256, MC = 48, NC = 768 };

static void micro(long K, const float *a, const float *b, float *c, long ldc, int load) {
  vf s[MR][NV];
#pragma GCC unroll 8
  for (int r = 0; r < MR; r++)
#pragma GCC unroll 2
    for (int j = 0; j < NV; j++) s[r][j] = load ? vload(c + r * ldc + j * VW) : vset(0.0f);
  for (long k = 0; k < K; k++, a += MR, b += NR) {
    vf b0 = vload(b), b1 = vload(b + VW);
#pragma GCC unroll 8
    for (int r = 0; r < MR; r++) {
      vf x = vset(a[r]);
      s[r][0] = vfma(x, b0, s[r][0]);
      s[r][1] = vfma(x, b1, s[r][1]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < MR; r++)
#pragma GCC unroll 2
    for (int j = 0; j < NV; j++) vstore(c + r * ldc + j * VW, s[r][j]);
}

static void pack(long rows, long K, const float *X, long stride, long step, float *out, int width) {
  for (long i = 0; i < rows; i += width) {
    long w = MIN(width, rows - i);
    if (stride == 1)
      for (long k = 0; k < K; k++) {
        long r = 0;
        for (; r < w; r++) out[k * width + r] = X[i + r + k * step];
        for (; r < width; r++) out[k * width + r] = 0.0f;
      }
    else
      for (long r = 0; r < width; r++) {
        if (r < w)
          for (long k = 0; k < K; k++) out[k * width + r] = X[(i + r) * stride + k * step];
        else
          for (long k = 0; k < K; k++) out[k * width + r] = 0.0f;
      }
    out += K * width;
  }
}

void gemm_serial(long M, long N, long K, const float *A, long rowA, long colA, const float *B, long rowB, long colB,
                 float *C, long ldc, int accumulate) {
  if (K == 0 && !accumulate)
    for (long i = 0; i < M; i++) memset(C + i * ldc, 0, N * sizeof(float));
  float *pa = scratch(SCRATCH_PACK_A, (MC + MR) * KC * sizeof(float));
  float *pb = scratch(SCRATCH_PACK_B, (NC + NR) * KC * sizeof(float));
  for (long jc = 0; jc < N; jc += NC) {
    long nc = MIN(NC, N - jc);
    for (long kc = 0; kc < K; kc += KC) {
      long kn = MIN(KC, K - kc);
      int load = accumulate || kc > 0;
      pack(nc, kn, B + jc * colB + kc * rowB, colB, rowB, pb, NR);
      for (long ic = 0; ic < M; ic += MC) {
        long mc = MIN(MC, M - ic);
        pack(mc, kn, A + ic * rowA + kc * colA, rowA, colA, pa, MR);
        for (long j = 0; j < nc; j += NR)
          for (long i = 0; i < mc; i += MR) {
            float *c = C + (ic + i) * ldc + jc + j;
            long m = MIN(MR, mc - i), n = MIN(NR, nc - j);
            const float *ap = pa + i * kn, *bp = pb + j * kn;
            if (m == MR && n == NR) {
              micro(kn, ap, bp, c, ldc, load);
              continue;
            }
            float edge[MR * NR];
            if (load)
              for (long r = 0; r < m; r++) memcpy(edge + r * NR, c + r * ldc, n * sizeof(float));
            micro(kn, ap, bp, edge, NR, load);
            for (long r = 0; r < m; r++) memcpy(c + r * ldc, edge + r * NR, n * sizeof(float));
          }
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
  long parts = M * N * K < 200000 ? 1 : pool_threads() * 2;
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
