/* Causal depthwise convolution. */
#include "quasar.h"
#include "scalar.h"
#include "simd.h"

typedef struct {
  const float *x, *w, *state, *dy;
  float *y, *dx, *dw, *next, *work;
  const int32_t *position;
  long B, T, D, W;
} seq;

/* x at time t - back of the same segment; times before 0 come from the carried state [W-1, D] (oldest first). */
static inline const float *conv_input(const seq *g, long b, long t, long back) {
  if (g->position && g->position[b * g->T + t] < back) return NULL;
  long at = t - back;
  if (at >= 0) return g->x + (b * g->T + at) * g->D;
  return g->state ? g->state + (b * (g->W - 1) + g->W - 1 + at) * g->D : NULL;
}
static void conv_sum(const seq *g, long b, long t, float *out) {
  for (long d = 0; d < g->D; d++) out[d] = 0.0f;
  for (long back = g->W - 1; back >= 0; back--) {
    const float *x = conv_input(g, b, t, back), *w = g->w + (g->W - 1 - back) * g->D;
    if (x)
      for (long d = 0; d < g->D; d++) out[d] = q_fma(w[d], x[d], out[d]);
  }
}
static void conv_rows(void *context, long begin, long end) {
  seq *g = context;
  for (long i = begin; i < end; i++) {
    float *y = g->y + i * g->D;
    conv_sum(g, i / g->T, i % g->T, y);
    for (long d = 0; d < g->D; d++) y[d] = q_silu(y[d]);
  }
}
/* w[D,W] -> [W,D], so that channels are contiguous */
static float *transposed_weight(const float *w, long D, long W) {
  float *t = scratch(SCRATCH_PACK_A, D * W * sizeof(float));
  for (long d = 0; d < D; d++)
    for (long j = 0; j < W; j++) t[j * D + d] = w[d * W + j];
  return t;
}
/* y_t = silu(sum_j w[:,j] x_{t-W+1+j}). p: y next? x[B,T,D] w[D,W] state?[B,W-1,D] position?[B,T]; n: B T D W */
KERNEL(short_conv) {
  seq g = {.y = F(0), .next = F(1), .x = F(2), .state = F(4), .position = I(5), .B = L(0), .T = L(1), .D = L(2), .W = L(3)};
  g.w = transposed_weight(F(3), g.D, g.W);
  parallel_for(g.B * g.T, 1 + 2048 / (g.D + 1), conv_rows, &g);
  if (g.next)
    for (long b = 0; b < g.B; b++)
      for (long s = 0; s < g.W - 1; s++) {
        long at = g.T - (g.W - 1) + s;
        float *to = g.next + (b * (g.W - 1) + s) * g.D;
        if (at >= 0) memcpy(to, g.x + (b * g.T + at) * g.D, g.D * sizeof(float));
        else if (g.state) memcpy(to, g.state + (b * (g.W - 1) + g.W - 1 + at) * g.D, g.D * sizeof(float));
        else memset(to, 0, g.D * sizeof(float));
      }
}

static void conv_slope_rows(void *context, long begin, long end) {
  seq *g = context;
  for (long i = begin; i < end; i++) {
    float *z = g->work + i * g->D;
    const float *dy = g->dy + i * g->D;
    conv_sum(g, i / g->T, i % g->T, z);
    for (long d = 0; d < g->D; d++) z[d] = dy[d] * q_silu_slope(z[d]);
  }
}
static void conv_input_rows(void *context, long begin, long end) {
  seq *g = context;
  for (long i = begin; i < end; i++) {
    long b = i / g->T, t = i % g->T;
    float *dx = g->dx + i * g->D;
    for (long d = 0; d < g->D; d++) dx[d] = 0.0f;
    for (long ahead = 0; ahead < g->W && t + ahead < g->T; ahead++) {
      if (g->position && g->position[b * g->T + t + ahead] < ahead) break;
      const float *dz = g->work + (i + ahead) * g->D, *w = g->w + (g->W - 1 - ahead) * g->D;
      for (long d = 0; d < g->D; d++) dx[d] = q_fma(w[d], dz[d], dx[d]);
    }
  }
}
static void conv_weight_columns(void *context, long begin, long end) {
  seq *g = context;
  long n = end - begin;
  float *sum = scratch(SCRATCH_KERNEL, g->W * n * sizeof(float)); /* [W, n]: channels contiguous, unlike in dw */
  memset(sum, 0, g->W * n * sizeof(float));
  for (long i = 0; i < g->B * g->T; i++)
    for (long back = 0; back < g->W; back++) {
      const float *x = conv_input(g, i / g->T, i % g->T, back), *dz = g->work + i * g->D + begin;
      float *s = sum + (g->W - 1 - back) * n;
      if (x)
        for (long d = 0; d < n; d++) s[d] = q_fma(dz[d], x[begin + d], s[d]);
    }
  for (long j = 0; j < g->W; j++)
    for (long d = 0; d < n; d++) g->dw[(begin + d) * g->W + j] = sum[j * n + d];
}
/* p: dx dw x w state? position? dy work[B,T,D]; n: B T D W */
KERNEL(short_conv_backward) {
  seq g = {.dx = F(0), .dw = F(1), .x = F(2), .state = F(4), .position = I(5), .dy = F(6), .work = F(7),
           .B = L(0), .T = L(1), .D = L(2), .W = L(3)};
  g.w = transposed_weight(F(3), g.D, g.W);
  parallel_for(g.B * g.T, 1 + 2048 / (g.D + 1), conv_slope_rows, &g);
  parallel_for(g.B * g.T, 1 + 2048 / (g.D + 1), conv_input_rows, &g);
  parallel_for(g.D, 16, conv_weight_columns, &g);
}
