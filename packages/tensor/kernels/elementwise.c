/* Elementwise kernels and the two broadcasts that linear layers need. */
#include "quasar.h"
#include "scalar.h"
#include "simd.h"
#include "swiglu.h"

enum { GRAIN = 8192 };
typedef struct {
  const float *x, *y;
  float *out;
  float s, t;
  long op, width, rows;
} loop;

static void fill_range(void *context, long b, long e) {
  loop *l = context;
  for (long i = b; i < e; i++) l->out[i] = l->s;
}
/* p: out; n: count value */
KERNEL(fill) {
  loop l = {.out = F(0), .s = (float)a->n[1]};
  parallel_for(L(0), GRAIN, fill_range, &l);
}

static void axpby_range(void *context, long b, long e) {
  loop *l = context;
  if (!l->y)
    for (long i = b; i < e; i++) l->out[i] = l->s * l->x[i] + l->t;
  else
    for (long i = b; i < e; i++) l->out[i] = q_fma(l->s, l->x[i], l->t * l->y[i]);
}
/* out = s x + t y[at..], or s x + t without y. p: out x y?; n: count s t at */
KERNEL(axpby) {
  loop l = {.out = F(0), .x = F(1), .y = F(2) ? F(2) + L(3) : NULL, .s = (float)a->n[1], .t = (float)a->n[2]};
  parallel_for(L(0), GRAIN, axpby_range, &l);
}

static void multiply_range(void *context, long b, long e) {
  loop *l = context;
  for (long i = b; i < e; i++) l->out[i] = l->x[i] * l->y[i];
}
/* p: out x y; n: count */
KERNEL(multiply) {
  loop l = {.out = F(0), .x = F(1), .y = F(2)};
  parallel_for(L(0), GRAIN, multiply_range, &l);
}

static void clamp_range(void *context, long b, long e) {
  loop *l = context;
  for (long i = b; i < e; i++) {
    float x = l->op && l->x[i] != l->x[i] ? 0.0f : l->x[i];
    l->out[i] = x < l->s ? l->s : x > l->t ? l->t : x;
  }
}
/* x within [low, high]; NaN stays, or becomes 0. p: out x; n: count low high nanIsZero */
KERNEL(clamp) {
  loop l = {.out = F(0), .x = F(1), .s = (float)a->n[1], .t = (float)a->n[2], .op = L(3)};
  parallel_for(L(0), GRAIN, clamp_range, &l);
}
static void clamp_backward_range(void *context, long b, long e) {
  loop *l = context;
  for (long i = b; i < e; i++) l->out[i] = l->x[i] >= l->s && l->x[i] <= l->t ? l->y[i] : 0.0f;
}
/* p: dx x dy; n: count low high */
KERNEL(clamp_backward) {
  loop l = {.out = F(0), .x = F(1), .y = F(2), .s = (float)a->n[1], .t = (float)a->n[2]};
  parallel_for(L(0), GRAIN, clamp_backward_range, &l);
}

enum { SILU, SIGMOID, SOFTPLUS, LOG_SIGMOID };
static void unary_range(void *context, long b, long e) {
  loop *l = context;
  const float *x = l->x;
  float *out = l->out;
  switch (l->op) {
    case SILU: for (long i = b; i < e; i++) out[i] = q_silu(x[i]); break;
    case SIGMOID: for (long i = b; i < e; i++) out[i] = q_sigmoid(x[i]); break;
    case SOFTPLUS: for (long i = b; i < e; i++) out[i] = q_softplus(x[i]); break;
    case LOG_SIGMOID: for (long i = b; i < e; i++) out[i] = q_log_sigmoid(x[i]); break;
  }
}
/* p: out x; n: count op */
KERNEL(unary) {
  loop l = {.out = F(0), .x = F(1), .op = L(1)};
  parallel_for(L(0), 2048, unary_range, &l);
}

static void unary_backward_range(void *context, long b, long e) {
  loop *l = context;
  const float *x = l->x, *dy = l->y;
  float *dx = l->out;
  switch (l->op) {
    case SILU: for (long i = b; i < e; i++) dx[i] = dy[i] * q_silu_slope(x[i]); break;
    case SIGMOID: for (long i = b; i < e; i++) { float s = q_sigmoid(x[i]); dx[i] = dy[i] * s * (1.0f - s); } break;
    case SOFTPLUS: for (long i = b; i < e; i++) dx[i] = dy[i] * q_sigmoid(x[i]); break;
    case LOG_SIGMOID: for (long i = b; i < e; i++) dx[i] = dy[i] * q_sigmoid(-x[i]); break;
  }
}
/* p: dx x dy; n: count op */
KERNEL(unary_backward) {
  loop l = {.out = F(0), .x = F(1), .y = F(2), .op = L(1)};
  parallel_for(L(0), 2048, unary_backward_range, &l);
}

static void add_bias_rows(void *context, long b, long e) {
  loop *l = context;
  for (long i = b; i < e; i++)
    for (long j = 0; j < l->width; j++) l->out[i * l->width + j] = l->x[i * l->width + j] + l->y[j];
}
/* p: out x[M,N] bias[N]; n: M N */
KERNEL(add_bias) {
  loop l = {.out = F(0), .x = F(1), .y = F(2), .width = L(1)};
  parallel_for(L(0), GRAIN / (l.width + 1), add_bias_rows, &l);
}

static void scale_column_rows(void *context, long b, long e) {
  loop *l = context;
  for (long i = b; i < e; i++)
    for (long j = 0; j < l->width; j++) l->out[i * l->width + j] = l->x[i * l->width + j] * l->y[j];
}
/* p: out x[M,N] factor[N]; n: M N */
KERNEL(scale_columns) {
  loop l = {.out = F(0), .x = F(1), .y = F(2), .width = L(1)};
  parallel_for(L(0), GRAIN / (l.width + 1), scale_column_rows, &l);
}

static void sum_columns(void *context, long b, long e) {
  loop *l = context;
  for (long j = b; j < e; j++) l->out[j] = 0.0f;
  for (long i = 0; i < l->rows; i++)
    for (long j = b; j < e; j++) l->out[j] += l->x[i * l->width + j];
}
/* out[j] = sum_i x[i,j], rows in order. p: out x[M,N]; n: M N */
KERNEL(sum_rows) {
  loop l = {.out = F(0), .x = F(1), .rows = L(0), .width = L(1)};
  parallel_for(l.width, 16, sum_columns, &l);
}

typedef struct {
  const float *gate, *up, *dy;
  float *y, *dgate, *dup;
  long width, stride;
} glu;

static void swiglu_row(long n, const float *restrict gate, const float *restrict up, float *restrict y) {
  for (long j = 0; j < n; j++) y[j] = q_silu(gate[j]) * up[j];
}
static void swiglu_rows(void *context, long b, long e) {
  glu *g = context;
  for (long i = b; i < e; i++) swiglu_row(g->width, g->gate + i * g->stride, g->up + i * g->stride, g->y + i * g->width);
}
/* y = silu(gate) * up; with one input [M,2F] the halves are gate and up. p: y gate up?; n: M F */
KERNEL(swiglu) {
  long width = L(1);
  glu g = {.y = F(0), .gate = F(1), .up = F(2) ? F(2) : F(1) + width, .width = width, .stride = F(2) ? width : 2 * width};
  parallel_for(L(0), 1 + 2048 / (width + 1), swiglu_rows, &g);
}

static void swiglu_backward_rows(void *context, long b, long e) {
  glu *g = context;
  for (long i = b; i < e; i++) {
    long at = i * g->stride;
    swiglu_backward_row(g->width, g->gate + at, g->up + at, g->dy + i * g->width, g->dgate + at, g->dup + at);
  }
}
/* p: dgate dup? gate up? dy; n: M F */
KERNEL(swiglu_backward) {
  long width = L(1);
  glu g = {.dgate = F(0), .dup = F(1) ? F(1) : F(0) + width, .gate = F(2), .up = F(3) ? F(3) : F(2) + width, .dy = F(4),
           .width = width, .stride = F(3) ? width : 2 * width};
  parallel_for(L(0), 1 + 2048 / (width + 1), swiglu_backward_rows, &g);
}

static void sigmoid_gate_range(void *context, long b, long e) {
  const glu *g = context;
  const float *x = g->up, *gate = g->gate;
  float *y = g->y;
  for (long i = b; i < e; i++) y[i] = x[i] * q_sigmoid(gate[i]);
}
/* y = x sigmoid(gate). p: y x gate; n: count */
KERNEL(sigmoid_gate) {
  glu g = {.y = F(0), .up = F(1), .gate = F(2)};
  parallel_for(L(0), 2048, sigmoid_gate_range, &g);
}

static void sigmoid_gate_backward_range(void *context, long b, long e) {
  const glu *g = context;
  const float *x = g->up + b, *gate = g->gate + b, *dy = g->dy + b;
  float *dx = g->dup + b, *dgate = g->dgate + b;
  for (long i = 0; i < e - b; i++) {
    float s = q_sigmoid(gate[i]);
    dx[i] = dy[i] * s;
    dgate[i] = dy[i] * x[i] * s * (1.0f - s);
  }
}
/* p: dx dgate x gate dy; n: count */
KERNEL(sigmoid_gate_backward) {
  glu g = {.dup = F(0), .dgate = F(1), .up = F(2), .gate = F(3), .dy = F(4)};
  parallel_for(L(0), 2048, sigmoid_gate_backward_range, &g);
}
