/* The router of slot attention, architecture §3.7: scores p = sigmoid(r), the K best slots (by p + bias; ties: lowest
   index), weights w = p / (sum of the chosen p + 1e-9), decay f = -e^A softplus(z + dt), log decay g = f w. */
#include "quasar.h"
#include "scalar.h"
#include "simd.h"

typedef struct {
  const float *r, *z, *rate, *shift, *bias, *dg;
  float *g, *dr, *dz, *drate;
  long H, M, K;
} gates;

/* p and, per slot, whether it is among the K best: how many others are before it decides. */
static void choose(const gates *g, long row, float *p, float *key, int32_t *chosen) {
  long M = g->M, h = row % g->H;
  const float *r = g->r + row * M;
  for (long m = 0; m < M; m++) p[m] = q_sigmoid(r[m]);
  for (long m = 0; m < M; m++) key[m] = g->bias ? p[m] + g->bias[h * M + m] : p[m];
  memset(chosen, 0, M * sizeof(int32_t));
  for (long j = 0; j < M; j++) {
    float x = key[j];
    for (int32_t m = 0; m < M; m++) chosen[m] += (x > key[m]) | ((x == key[m]) & (m > j));
  }
  for (long m = 0; m < M; m++) chosen[m] = chosen[m] < g->K;
}
static float chosen_sum(long M, const float *p, const int32_t *chosen) {
  float sum = 1e-9f;
  for (long m = 0; m < M; m++) sum += chosen[m] ? p[m] : 0.0f;
  return sum;
}
static float decay_of(const gates *g, long row) {
  long h = row % g->H;
  return -q_exp(g->rate[h]) * q_softplus(g->z[row] + g->shift[h]);
}

static void gate_rows(void *context, long begin, long end) {
  const gates *g = context;
  long M = g->M;
  float *p = scratch(SCRATCH_KERNEL, 3 * M * sizeof(float));
  int32_t *chosen = (int32_t *)(p + 2 * M);
  for (long row = begin; row < end; row++) {
    choose(g, row, p, p + M, chosen);
    float scale = decay_of(g, row) / chosen_sum(M, p, chosen);
    for (long m = 0; m < M; m++) g->g[row * M + m] = chosen[m] ? scale * p[m] : 0.0f;
  }
}
/* p: g[rows,H,M] r[rows,H,M] z[rows,H] A_log[H] dt_bias[H] bias?[H,M]; n: rows H M K */
KERNEL(slot_gates) {
  gates g = {.g = F(0), .r = F(1), .z = F(2), .rate = F(3), .shift = F(4), .bias = F(5), .H = L(1), .M = L(2), .K = L(3)};
  parallel_for(L(0) * g.H, 1 + 16384 / (g.M * g.M + 1), gate_rows, &g);
}

static void gate_rows_backward(void *context, long begin, long end) {
  const gates *g = context;
  long M = g->M;
  float *p = scratch(SCRATCH_KERNEL, 3 * M * sizeof(float));
  int32_t *chosen = (int32_t *)(p + 2 * M);
  for (long row = begin; row < end; row++) {
    long h = row % g->H;
    const float *dg = g->dg + row * M;
    choose(g, row, p, p + M, chosen);
    float inverse = 1.0f / chosen_sum(M, p, chosen), f = decay_of(g, row), df = 0.0f;
    for (long m = 0; m < M; m++) df += chosen[m] ? dg[m] * p[m] * inverse : 0.0f;
    for (long m = 0; m < M; m++)
      g->dr[row * M + m] = chosen[m] ? f * inverse * (dg[m] - df) * p[m] * q_sigmoid(-g->r[row * M + m]) : 0.0f;
    g->dz[row] = df * -q_exp(g->rate[h]) * q_sigmoid(g->z[row] + g->shift[h]);
    g->drate[row] = df * f;
  }
}
/* dA_log per row; the gradient of dt_bias is the sum of dz. p: dr dz dA_log[rows,H] r z A_log dt_bias bias? dg;
   n: rows H M K */
KERNEL(slot_gates_backward) {
  gates g = {.dr = F(0), .dz = F(1), .drate = F(2), .r = F(3), .z = F(4), .rate = F(5), .shift = F(6), .bias = F(7), .dg = F(8),
             .H = L(1), .M = L(2), .K = L(3)};
  parallel_for(L(0) * g.H, 1 + 16384 / (g.M * g.M + 1), gate_rows_backward, &g);
}
