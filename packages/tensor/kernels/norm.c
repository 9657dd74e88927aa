/* Normalisations over the last axis. Weight gradients sum over rows in order, split by columns between threads. */
#include "quasar.h"
#include "scalar.h"
#include "simd.h"

typedef struct {
  const float *x, *w, *gate, *dy;
  float *y, *dx, *dw, *dgate, *r;
  long M, N, op;
  float eps;
} norm;

static float inverse_root(float mean_square, float eps) { return 1.0f / __builtin_sqrtf(mean_square + eps); }
static long grain(long N) { return 1 + 4096 / (N + 1); }

static void rms_rows(void *context, long b, long e) {
  norm *g = context;
  for (long i = b; i < e; i++) {
    const float *x = g->x + i * g->N;
    float *y = g->y + i * g->N, r = inverse_root(dot_fixed(x, x, g->N) / (float)g->N, g->eps);
    for (long j = 0; j < g->N; j++) y[j] = x[j] * r * g->w[j];
  }
}
/* y = w x / sqrt(mean(x^2) + eps). p: y x w; n: M N eps */
KERNEL(rms_norm) {
  norm g = {.y = F(0), .x = F(1), .w = F(2), .M = L(0), .N = L(1), .eps = (float)a->n[2]};
  parallel_for(g.M, grain(g.N), rms_rows, &g);
}

static void rms_backward_rows(void *context, long b, long e) {
  norm *g = context;
  float *t = scratch(SCRATCH_KERNEL, g->N * sizeof(float));
  for (long i = b; i < e; i++) {
    const float *x = g->x + i * g->N, *dy = g->dy + i * g->N;
    float *dx = g->dx + i * g->N, r = inverse_root(dot_fixed(x, x, g->N) / (float)g->N, g->eps);
    for (long j = 0; j < g->N; j++) t[j] = dy[j] * g->w[j];
    float c = r * r * r * dot_fixed(t, x, g->N) / (float)g->N;
    for (long j = 0; j < g->N; j++) dx[j] = q_fma(t[j], r, -c * x[j]);
    g->r[i] = r;
  }
}
static void rms_weight_columns(void *context, long b, long e) {
  norm *g = context;
  for (long j = b; j < e; j++) g->dw[j] = 0.0f;
  for (long i = 0; i < g->M; i++)
    for (long j = b; j < e; j++) g->dw[j] = q_fma(g->dy[i * g->N + j] * g->r[i], g->x[i * g->N + j], g->dw[j]);
}
/* p: dx dw x w dy work[M]; n: M N eps */
KERNEL(rms_norm_backward) {
  norm g = {.dx = F(0), .dw = F(1), .x = F(2), .w = F(3), .dy = F(4), .r = F(5), .M = L(0), .N = L(1), .eps = (float)a->n[2]};
  parallel_for(g.M, grain(g.N), rms_backward_rows, &g);
  parallel_for(g.N, 16, rms_weight_columns, &g);
}

enum { GATE_SIGMOID, GATE_SILU };
static inline float gate_value(long op, float x) { return op == GATE_SILU ? q_silu(x) : q_sigmoid(x); }
static inline float gate_slope(long op, float x) {
  float s = q_sigmoid(x);
  return op == GATE_SILU ? q_silu_slope(x) : s * (1.0f - s);
}

static void gated_rows(void *context, long b, long e) {
  norm *g = context;
  for (long i = b; i < e; i++) {
    const float *x = g->x + i * g->N, *gate = g->gate + i * g->N;
    float *y = g->y + i * g->N, r = inverse_root(dot_fixed(x, x, g->N) / (float)g->N, g->eps);
    if (g->op == GATE_SILU)
      for (long j = 0; j < g->N; j++) y[j] = x[j] * r * g->w[j] * q_silu(gate[j]);
    else
      for (long j = 0; j < g->N; j++) y[j] = x[j] * r * g->w[j] * q_sigmoid(gate[j]);
  }
}
/* y = rms(x) w act(gate). p: y x w gate; n: M N eps op (0 sigmoid, 1 silu) */
KERNEL(gated_norm) {
  norm g = {.y = F(0), .x = F(1), .w = F(2), .gate = F(3), .M = L(0), .N = L(1), .eps = (float)a->n[2], .op = L(3)};
  parallel_for(g.M, grain(g.N), gated_rows, &g);
}

static void gated_backward_rows(void *context, long b, long e) {
  norm *g = context;
  float *t = scratch(SCRATCH_KERNEL, g->N * sizeof(float));
  for (long i = b; i < e; i++) {
    const float *x = g->x + i * g->N, *dy = g->dy + i * g->N, *gate = g->gate + i * g->N;
    float *dx = g->dx + i * g->N, *dgate = g->dgate + i * g->N;
    float r = inverse_root(dot_fixed(x, x, g->N) / (float)g->N, g->eps);
    for (long j = 0; j < g->N; j++) {
      float v = gate_value(g->op, gate[j]);
      dgate[j] = dy[j] * x[j] * r * g->w[j] * gate_slope(g->op, gate[j]);
      t[j] = dy[j] * g->w[j] * v;
    }
    float c = r * r * r * dot_fixed(t, x, g->N) / (float)g->N;
    for (long j = 0; j < g->N; j++) dx[j] = q_fma(t[j], r, -c * x[j]);
    g->r[i] = r;
  }
}
static void gated_weight_columns(void *context, long b, long e) {
  norm *g = context;
  for (long j = b; j < e; j++) g->dw[j] = 0.0f;
  for (long i = 0; i < g->M; i++)
    for (long j = b; j < e; j++) {
      long at = i * g->N + j;
      g->dw[j] += g->dy[at] * gate_value(g->op, g->gate[at]) * (g->x[at] * g->r[i]);
    }
}
/* p: dx dw dgate x w gate dy work[M]; n: M N eps op */
KERNEL(gated_norm_backward) {
  norm g = {.dx = F(0), .dw = F(1), .dgate = F(2), .x = F(3), .w = F(4), .gate = F(5), .dy = F(6), .r = F(7),
            .M = L(0), .N = L(1), .eps = (float)a->n[2], .op = L(3)};
  parallel_for(g.M, grain(g.N), gated_backward_rows, &g);
  parallel_for(g.N, 4, gated_weight_columns, &g);
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
  parallel_for(g.M, grain(g.N), l2_rows, &g);
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
  parallel_for(g.M, grain(g.N), l2_backward_rows, &g);
}
