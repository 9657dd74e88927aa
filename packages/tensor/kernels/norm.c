/* Normalisations over the last axis. */
#include "norm.h"
#include "scalar.h"

typedef struct {
  const float *x, *w, *gate, *dy;
  float *y, *dx, *dw, *dgate, *sums; /* sums: of the weight gradient, one row per block */
  long M, N, op;
  float eps, offset;
} norm;

static void rms_row(long N, float eps, float offset, const float *x, const float *restrict w, float *restrict y) {
  float r = inverse_root(x, N, eps);
  for (long j = 0; j < N; j++) y[j] = x[j] * r * (w[j] + offset);
}
static void rms_rows(void *context, long b, long e) {
  norm *g = context;
  for (long i = b; i < e; i++) rms_row(g->N, g->eps, g->offset, g->x + i * g->N, g->w, g->y + i * g->N);
}
/* y = (w + offset) x / sqrt(mean(x^2) + eps). p: y x w; n: M N eps offset */
KERNEL(rms_norm) {
  norm g = {.y = F(0), .x = F(1), .w = F(2), .M = L(0), .N = L(1), .eps = (float)a->n[2], .offset = (float)a->n[3]};
  parallel_for(g.M, norm_grain(g.N), rms_rows, &g);
}

static void rms_backward_blocks(void *context, long b, long e) {
  norm *g = context;
  long N = g->N;
  float *t = scratch(SCRATCH_PACK_A, (N + 1) * sizeof(float));
  for (long block = b; block < e; block++) {
    float *sum = g->sums + block * N;
    memset(sum, 0, N * sizeof(float));
    for (long i = block * NORM_BLOCK; i < MIN(g->M, (block + 1) * NORM_BLOCK); i++)
      rms_backward_row(N, g->eps, g->offset, (int)g->op, g->x + i * N, g->w, g->dy + i * N, g->dx + i * N, sum, t);
  }
}

static void backward(norm *g, range_fn body) {
  parallel_for((g->M + NORM_BLOCK - 1) / NORM_BLOCK, 1 + norm_grain(g->N) / NORM_BLOCK, body, g);
  add_blocks(g->sums, g->M, g->N, g->dw);
}
/* dx is added to what stands there if `adds`. p: dx dw x w dy work[ceil(M / 64), N]; n: M N eps offset adds */
KERNEL(rms_norm_backward) {
  norm g = {.dx = F(0), .dw = F(1), .x = F(2), .w = F(3), .dy = F(4), .sums = F(5), .M = L(0), .N = L(1), .eps = (float)a->n[2],
            .offset = (float)a->n[3], .op = L(4)};
  backward(&g, rms_backward_blocks);
}

/* t, the gradient of r x, becomes r t - c x with c = r^3 <t,x> / N. */
static void through_root(long N, float r, const float *restrict x, float *restrict t) {
  float c = r * r * r * dot_fixed(t, x, N) / (float)N;
  for (long j = 0; j < N; j++) t[j] = q_fma(t[j], r, -c * x[j]);
}

enum { GATE_SIGMOID, GATE_SILU };

static inline void gated_row(long N, int op, float eps, const float *restrict x, const float *restrict w,
                             const float *restrict gate, float *restrict y) {
  float r = inverse_root(x, N, eps);
  for (long j = 0; j < N; j++) y[j] = x[j] * r * w[j] * (op == GATE_SILU ? q_silu(gate[j]) : q_sigmoid(gate[j]));
}
static void gated_rows(void *context, long b, long e) {
  norm *g = context;
  for (long i = b; i < e; i++) {
    const float *x = g->x + i * g->N, *gate = g->gate + i * g->N;
    float *y = g->y + i * g->N;
    if (g->op == GATE_SILU) gated_row(g->N, GATE_SILU, g->eps, x, g->w, gate, y);
    else gated_row(g->N, GATE_SIGMOID, g->eps, x, g->w, gate, y);
  }
}
/* y = rms(x) w act(gate). p: y x w gate; n: M N eps op (0 sigmoid, 1 silu) */
KERNEL(gated_norm) {
  norm g = {.y = F(0), .x = F(1), .w = F(2), .gate = F(3), .M = L(0), .N = L(1), .eps = (float)a->n[2], .op = L(3)};
  parallel_for(g.M, norm_grain(g.N), gated_rows, &g);
}

static inline void gated_backward_row(long N, int op, float eps, const float *restrict x, const float *restrict w,
                                      const float *restrict gate, const float *restrict dy, float *restrict dx,
                                      float *restrict dgate, float *restrict sum) {
  float r = inverse_root(x, N, eps);
  for (long j = 0; j < N; j++) {
    float s = q_sigmoid(gate[j]), value = op == GATE_SILU ? gate[j] * s : s;
    float slope = op == GATE_SILU ? s * q_fma(gate[j], 1.0f - s, 1.0f) : s * (1.0f - s), open = dy[j] * value, unit = x[j] * r;
    dgate[j] = dy[j] * unit * w[j] * slope;
    dx[j] = open * w[j];
    sum[j] = q_fma(open, unit, sum[j]);
  }
  through_root(N, r, x, dx);
}
static void gated_backward_blocks(void *context, long b, long e) {
  norm *g = context;
  for (long block = b; block < e; block++) {
    float *sum = g->sums + block * g->N;
    memset(sum, 0, g->N * sizeof(float));
    for (long i = block * NORM_BLOCK; i < MIN(g->M, (block + 1) * NORM_BLOCK); i++) {
      const float *x = g->x + i * g->N, *gate = g->gate + i * g->N, *dy = g->dy + i * g->N;
      float *dx = g->dx + i * g->N, *dgate = g->dgate + i * g->N;
      if (g->op == GATE_SILU) gated_backward_row(g->N, GATE_SILU, g->eps, x, g->w, gate, dy, dx, dgate, sum);
      else gated_backward_row(g->N, GATE_SIGMOID, g->eps, x, g->w, gate, dy, dx, dgate, sum);
    }
  }
}
/* p: dx dw dgate x w gate dy work[ceil(M / 64), N]; n: M N eps op */
KERNEL(gated_norm_backward) {
  norm g = {.dx = F(0), .dw = F(1), .dgate = F(2), .x = F(3), .w = F(4), .gate = F(5), .dy = F(6), .sums = F(7),
            .M = L(0), .N = L(1), .eps = (float)a->n[2], .op = L(3)};
  backward(&g, gated_backward_blocks);
}

static float inverse_length(const float *x, long N) { return 1.0f / MAX(__builtin_sqrtf(dot_fixed(x, x, N)), 1e-12f); }

static void l2_rows(void *context, long b, long e) {
  norm *g = context;
  for (long i = b; i < e; i++) {
    const float *x = g->x + i * g->N;
    float *y = g->y + i * g->N, r = inverse_length(x, g->N);
    for (long j = 0; j < g->N; j++) y[j] = x[j] * r * g->eps;
  }
}
/* y = scale x / max(|x|, 1e-12). p: y x; n: M N scale */
KERNEL(l2_norm) {
  norm g = {.y = F(0), .x = F(1), .M = L(0), .N = L(1), .eps = (float)a->n[2]};
  parallel_for(g.M, norm_grain(g.N), l2_rows, &g);
}

static void l2_backward_rows(void *context, long b, long e) {
  norm *g = context;
  for (long i = b; i < e; i++) {
    const float *x = g->x + i * g->N, *dy = g->dy + i * g->N;
    float *dx = g->dx + i * g->N, r = inverse_length(x, g->N);
    float c = r * r * dot_fixed(x, dy, g->N);
    for (long j = 0; j < g->N; j++) dx[j] = g->eps * r * q_fma(-c, x[j], dy[j]);
  }
}
/* p: dx x dy; n: M N scale */
KERNEL(l2_norm_backward) {
  norm g = {.dx = F(0), .x = F(1), .dy = F(2), .M = L(0), .N = L(1), .eps = (float)a->n[2]};
  parallel_for(g.M, norm_grain(g.N), l2_backward_rows, &g);
}
