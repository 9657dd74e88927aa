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

/* The convolution runs over strips of channels and takes TAPS inputs at a time; weights are filled up with zeros. */
enum { TAPS = 4, STRIP = 256, ROWS = 64 };
static const float nothing[STRIP];
static long filled(long W) { return (W + TAPS - 1) / TAPS * TAPS; }

/* w[D,W] -> [filled(W),D], last tap last */
static float *transposed_weight(const float *w, long D, long W) {
  long before = filled(W) - W;
  float *t = scratch(SCRATCH_PACK_A, (before + W) * D * sizeof(float));
  memset(t, 0, before * D * sizeof(float));
  for (long d = 0; d < D; d++)
    for (long j = 0; j < W; j++) t[(before + j) * D + d] = w[d * W + j];
  return t;
}

/* x at time t - back of the same segment, from channel `first` on; times before 0 come from the carried state [W-1, D]
   (oldest first). */
static const float *conv_input(const seq *g, long b, long t, long back, long first) {
  if (back >= g->W || (g->position && g->position[b * g->T + t] < back)) return nothing;
  long at = t - back;
  if (at >= 0) return g->x + (b * g->T + at) * g->D + first;
  return g->state ? g->state + (b * (g->W - 1) + g->W - 1 + at) * g->D + first : nothing;
}

/* out += w x of TAPS rows; rows of w are ldw apart */
static void add_taps(long n, const float *restrict w, long ldw, const float *const *x, float *restrict out) {
  const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
  for (long d = 0; d < n; d++)
    out[d] = q_fma(w[3 * ldw + d], x3[d], q_fma(w[2 * ldw + d], x2[d], q_fma(w[ldw + d], x1[d], q_fma(w[d], x0[d], out[d]))));
}
/* The convolution of `n` channels at time t. */
static void conv_sum(const seq *g, long b, long t, long first, long n, float *out) {
  memset(out, 0, n * sizeof(float));
  for (long j = 0; j < filled(g->W); j += TAPS) {
    const float *x[TAPS];
    for (long i = 0; i < TAPS; i++) x[i] = conv_input(g, b, t, filled(g->W) - 1 - j - i, first);
    add_taps(n, g->w + j * g->D + first, g->D, x, out);
  }
}
static void conv_rows(void *context, long begin, long end) {
  seq *g = context;
  for (long i = begin; i < end; i++)
    for (long first = 0; first < g->D; first += STRIP) {
      long n = MIN(STRIP, g->D - first);
      float *y = g->y + i * g->D + first;
      conv_sum(g, i / g->T, i % g->T, first, n, y);
      for (long d = 0; d < n; d++) y[d] = q_silu(y[d]);
    }
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

/* dz = dy silu'(z), z the convolution at time t */
static void conv_slope(const seq *g, long b, long t, long first, long n, float *restrict dz) {
  const float *dy = g->dy + (b * g->T + t) * g->D + first;
  conv_sum(g, b, t, first, n, dz);
  for (long d = 0; d < n; d++) dz[d] = dy[d] * q_silu_slope(dz[d]);
}
/* dx at time t from dz of the rows `ahead`, of which `rows` are there. */
static void conv_input_gradient(const seq *g, long b, long t, long rows, long first, long n, const float *dz, float *dx) {
  memset(dx, 0, n * sizeof(float));
  for (long j = 0; j < filled(g->W); j += TAPS) {
    const float *at[TAPS], *w = g->w + (filled(g->W) - 1 - j) * g->D + first;
    for (long i = 0; i < TAPS; i++) {
      long ahead = j + i;
      int reaches = ahead < MIN(g->W, rows) && !(g->position && g->position[b * g->T + t + ahead] < ahead);
      at[i] = reaches ? dz + ahead * STRIP : nothing;
    }
    add_taps(n, w, -g->D, at, dx);
  }
}
/* sum[j] += dz x_j for TAPS inputs; rows of sum are ld apart */
static void add_weights(long n, const float *restrict dz, const float *const *x, float *restrict sum, long ld) {
  const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
  for (long d = 0; d < n; d++) {
    sum[d] = q_fma(dz[d], x0[d], sum[d]);
    sum[ld + d] = q_fma(dz[d], x1[d], sum[ld + d]);
    sum[2 * ld + d] = q_fma(dz[d], x2[d], sum[2 * ld + d]);
    sum[3 * ld + d] = q_fma(dz[d], x3[d], sum[3 * ld + d]);
  }
}

static long blocks_per_sequence(const seq *g) { return (g->T + ROWS - 1) / ROWS; }
static long strips(const seq *g) { return (g->D + STRIP - 1) / STRIP; }

/* ROWS rows of one strip: dz of these and the W - 1 rows behind them, dx, and the block's part of dw. */
static void conv_backward_blocks(void *context, long begin, long end) {
  seq *g = context;
  float *dz = scratch(SCRATCH_KERNEL, (ROWS + g->W - 1) * STRIP * sizeof(float));
  for (long item = begin; item < end; item++) {
    long block = item / strips(g), first = item % strips(g) * STRIP, n = MIN(STRIP, g->D - first);
    long b = block / blocks_per_sequence(g), t = block % blocks_per_sequence(g) * ROWS;
    long rows = MIN(ROWS, g->T - t), all = MIN(ROWS + g->W - 1, g->T - t);
    for (long i = 0; i < all; i++) conv_slope(g, b, t + i, first, n, dz + i * STRIP);
    for (long i = 0; i < rows; i++)
      conv_input_gradient(g, b, t + i, all - i, first, n, dz + i * STRIP, g->dx + (b * g->T + t + i) * g->D + first);
    for (long j = 0; j < filled(g->W); j += TAPS) {
      float *sum = g->work + (block * filled(g->W) + j) * g->D + first;
      for (long i = 0; i < TAPS; i++) memset(sum + i * g->D, 0, n * sizeof(float));
      for (long i = 0; i < rows; i++) {
        const float *x[TAPS];
        for (long k = 0; k < TAPS; k++) x[k] = conv_input(g, b, t + i, filled(g->W) - 1 - j - k, first);
        add_weights(n, dz + i * STRIP, x, sum, g->D);
      }
    }
  }
}
static void conv_add_blocks(void *context, long begin, long end) {
  seq *g = context;
  long blocks = g->B * blocks_per_sequence(g), before = filled(g->W) - g->W;
  for (long j = begin; j < end; j++) {
    float *sum = g->work + (before + j) * g->D; /* of the first block */
    for (long block = 1; block < blocks; block++)
      for (long d = 0; d < g->D; d++) sum[d] += sum[block * filled(g->W) * g->D + d];
    for (long d = 0; d < g->D; d++) g->dw[d * g->W + j] = blocks ? sum[d] : 0.0f;
  }
}
/* p: dx dw x w state? position? dy work[B ceil(T / 64), 4 ceil(W / 4), D]; n: B T D W */
KERNEL(short_conv_backward) {
  seq g = {.dx = F(0), .dw = F(1), .x = F(2), .state = F(4), .position = I(5), .dy = F(6), .work = F(7),
           .B = L(0), .T = L(1), .D = L(2), .W = L(3)};
  g.w = transposed_weight(F(3), g.D, g.W);
  parallel_for(g.B * blocks_per_sequence(&g) * strips(&g), 1, conv_backward_blocks, &g);
  parallel_for(g.W, 1, conv_add_blocks, &g);
}
