/* Mixture of experts: choice of experts, rows sorted by expert, weighted return. Dropless. An assignment a = n*K + k says
   that token n goes to its k-th expert; `order` lists assignments by expert, `inverse` is where each one went. */
#include "quasar.h"
#include "scalar.h"
#include "simd.h"

typedef struct {
  const float *x, *bias, *gates, *y, *dgates;
  float *out, *dout;
  int32_t *ids;
  const int32_t *order, *counts;
  long N, E, K, D, groups, kept;
  float aux, z, scale;
  int summed;
} moe;

/* Scores outside the `kept` best groups (equal runs of experts, each as good as its two best) become -inf. */
static void keep_groups(const moe *g, float *score, float *group) {
  long size = g->E / g->groups;
  for (long i = 0; i < g->groups; i++) {
    float first = -Q_INF, second = -Q_INF;
    for (long e = i * size; e < (i + 1) * size; e++) {
      second = MAX(second, MIN(first, score[e]));
      first = MAX(first, score[e]);
    }
    group[i] = size > 1 ? first + second : first;
  }
  for (long k = 0; k < g->kept; k++) {
    long best = 0;
    for (long i = 1; i < g->groups; i++)
      if (group[i] > group[best]) best = i;
    group[best] = -Q_INF;
  }
  for (long e = 0; e < g->E; e++)
    if (group[e / size] != -Q_INF) score[e] = -Q_INF;
}
static void route_rows(void *context, long begin, long end) {
  moe *g = context;
  float *score = scratch(SCRATCH_KERNEL, (g->E + g->groups) * sizeof(float));
  for (long n = begin; n < end; n++) {
    const float *z = g->x + n * g->E;
    int32_t *ids = g->ids + n * g->K;
    float *gate = g->out + n * g->K, top = -Q_INF, total = 0.0f;
    for (long e = 0; e < g->E; e++) {
      float s = q_sigmoid(z[e]) + g->bias[e];
      score[e] = s == s ? s : -1.0e38f;
    }
    if (g->kept < g->groups) keep_groups(g, score, score + g->E);
    for (long k = 0; k < g->K; k++) {
      long best = 0;
      for (long e = 1; e < g->E; e++)
        if (score[e] > score[best]) best = e;
      ids[k] = (int32_t)best;
      score[best] = -Q_INF;
      top = MAX(top, z[best]);
    }
    for (long k = 0; k < g->K; k++) total += gate[k] = g->summed ? q_sigmoid(z[ids[k]]) : q_exp(z[ids[k]] - top);
    if (g->summed) total += 1e-20f;
    for (long k = 0; k < g->K; k++) gate[k] = g->scale * (gate[k] / total);
  }
}
/* K best of sigmoid(z) + bias (ties: lowest index) within the `kept` best of `groups`; gate = scale times the softmax of the
   chosen raw logits or, summed, times their sigmoids over the sum of these.
   p: ids[N,K] gates[N,K] logits[N,E] bias[E]; n: N E K summed groups kept scale */
KERNEL(route) {
  moe g = {.ids = I(0), .out = F(1), .x = F(2), .bias = F(3), .N = L(0), .E = L(1), .K = L(2), .summed = L(3) != 0,
           .groups = L(4), .kept = L(5), .scale = (float)a->n[6]};
  parallel_for(g.N, 1 + 2048 / (g.E * g.K + 1), route_rows, &g);
}

static void route_backward_rows(void *context, long begin, long end) {
  moe *g = context;
  for (long n = begin; n < end; n++) {
    float *dz = g->out + n * g->E;
    const float *gate = g->gates + n * g->K, *dgate = g->dgates + n * g->K;
    const int32_t *ids = g->ids + n * g->K;
    float mean = 0.0f, total = 1e-20f;
    for (long e = 0; e < g->E; e++) dz[e] = 0.0f;
    for (long k = 0; k < g->K; k++) mean = q_fma(gate[k], dgate[k], mean);
    if (g->summed) {
      const float *z = g->x + n * g->E;
      for (long k = 0; k < g->K; k++) total += q_sigmoid(z[ids[k]]);
      for (long k = 0; k < g->K; k++) {
        float p = q_sigmoid(z[ids[k]]);
        dz[ids[k]] = (g->scale * dgate[k] - mean) / total * p * (1.0f - p);
      }
    } else
      for (long k = 0; k < g->K; k++) dz[ids[k]] = gate[k] * (dgate[k] - mean / g->scale);
  }
}
/* p: dlogits ids gates dgates logits; n: N E K summed groups kept scale */
KERNEL(route_backward) {
  moe g = {.out = F(0), .ids = I(1), .gates = F(2), .dgates = F(3), .x = F(4), .N = L(0), .E = L(1), .K = L(2),
           .summed = L(3) != 0, .scale = (float)a->n[6]};
  parallel_for(g.N, 1 + 8192 / (g.E + 1), route_backward_rows, &g);
}

/* p: order[NK] inverse[NK] offsets[E+1] counts[E] (float) ids[NK]; n: NK E. Stable counting sort. */
KERNEL(moe_plan) {
  int32_t *order = I(0), *inverse = I(1), *offsets = I(2), *ids = I(4);
  float *counts = F(3);
  long total = L(0), E = L(1);
  int32_t *next = scratch(SCRATCH_KERNEL, E * sizeof(int32_t));
  memset(next, 0, E * sizeof(int32_t));
  for (long i = 0; i < total; i++) next[ids[i]]++;
  offsets[0] = 0;
  for (long e = 0; e < E; e++) {
    counts[e] = (float)next[e];
    offsets[e + 1] = offsets[e] + next[e];
    next[e] = offsets[e];
  }
  for (long i = 0; i < total; i++) {
    int32_t to = next[ids[i]]++;
    order[to] = (int32_t)i;
    inverse[i] = to;
  }
}

static void moe_gather_rows(void *context, long begin, long end) {
  moe *g = context;
  for (long i = begin; i < end; i++) memcpy(g->out + i * g->D, g->x + g->order[i] / g->K * g->D, g->D * sizeof(float));
}
/* out[i] = x[order[i] / K]. p: out[NK,D] x[N,D] order; n: NK K D */
KERNEL(moe_gather) {
  moe g = {.out = F(0), .x = F(1), .order = I(2), .K = L(1), .D = L(2)};
  parallel_for(L(0), 1 + 8192 / (g.D + 1), moe_gather_rows, &g);
}

static void moe_gather_backward_rows(void *context, long begin, long end) {
  moe *g = context;
  for (long n = begin; n < end; n++) {
    float *out = g->out + n * g->D;
    memcpy(out, g->x + g->order[n * g->K] * g->D, g->D * sizeof(float));
    for (long k = 1; k < g->K; k++) {
      const float *x = g->x + g->order[n * g->K + k] * g->D;
      for (long d = 0; d < g->D; d++) out[d] += x[d];
    }
  }
}
/* dx[n] = sum_k dout[inverse[nK+k]]. p: dx[N,D] dout[NK,D] inverse; n: N K D */
KERNEL(moe_gather_backward) {
  moe g = {.out = F(0), .x = F(1), .order = I(2), .K = L(1), .D = L(2)};
  parallel_for(L(0), 1 + 8192 / (g.D + 1), moe_gather_backward_rows, &g);
}

static void moe_combine_rows(void *context, long begin, long end) {
  moe *g = context;
  for (long n = begin; n < end; n++) {
    float *out = g->out + n * g->D;
    for (long d = 0; d < g->D; d++) out[d] = 0.0f;
    for (long k = 0; k < g->K; k++) {
      float w = g->gates[n * g->K + k];
      const float *x = g->x + g->order[n * g->K + k] * g->D;
      for (long d = 0; d < g->D; d++) out[d] = q_fma(w, x[d], out[d]);
    }
  }
}
/* out[n] = sum_k gates[n,k] y[inverse[nK+k]]. p: out[N,D] y[NK,D] gates inverse; n: N K D */
KERNEL(moe_combine) {
  moe g = {.out = F(0), .x = F(1), .gates = F(2), .order = I(3), .K = L(1), .D = L(2)};
  parallel_for(L(0), 1 + 8192 / (g.D + 1), moe_combine_rows, &g);
}

static void moe_combine_backward_rows(void *context, long begin, long end) {
  moe *g = context;
  for (long n = begin; n < end; n++) {
    const float *dout = g->x + n * g->D;
    for (long k = 0; k < g->K; k++) {
      long a = n * g->K + k, at = g->order[a];
      g->dout[a] = dot_fixed(dout, g->y + at * g->D, g->D);
      for (long d = 0; d < g->D; d++) g->out[at * g->D + d] = g->gates[a] * dout[d];
    }
  }
}
/* p: dy[NK,D] dgates[N,K] y gates inverse dout[N,D]; n: N K D */
KERNEL(moe_combine_backward) {
  moe g = {.out = F(0), .dout = F(1), .y = F(2), .gates = F(3), .order = I(4), .x = F(5), .K = L(1), .D = L(2)};
  parallel_for(L(0), 1 + 8192 / (g.D + 1), moe_combine_backward_rows, &g);
}

/* out[0] = aux sum_e f_e P_e + z mean(logit^2), f_e = count_e/(N K), P_e = mean_n sigmoid.
   p: out[1] logits[N,E] counts[E]; n: N E K aux z */
KERNEL(router_loss) {
  long N = L(0), E = L(1), K = L(2);
  const float *logits = F(1), *counts = F(2);
  float *p = scratch(SCRATCH_KERNEL, E * sizeof(float));
  double squares = 0.0, balance = 0.0;
  memset(p, 0, E * sizeof(float));
  for (long n = 0; n < N; n++) {
    squares += dot_fixed(logits + n * E, logits + n * E, E);
    for (long e = 0; e < E; e++) p[e] += q_sigmoid(logits[n * E + e]);
  }
  for (long e = 0; e < E; e++) balance += (double)counts[e] / (double)(N * K) * (p[e] / (double)N);
  F(0)[0] = (float)(a->n[3] * balance + a->n[4] * squares / (double)(N * E));
}

static void router_loss_backward_rows(void *context, long begin, long end) {
  moe *g = context;
  for (long n = begin; n < end; n++)
    for (long e = 0; e < g->E; e++) {
      float x = g->x[n * g->E + e], s = q_sigmoid(x);
      g->out[n * g->E + e] = g->y[0] * (g->aux * g->bias[e] * s * (1.0f - s) + g->z * x);
    }
}
/* p: dlogits logits counts dout[1]; n: N E K aux z */
KERNEL(router_loss_backward) {
  moe g = {.out = F(0), .x = F(1), .bias = F(2), .y = F(3), .E = L(1)};
  double N = a->n[0], E = a->n[1], K = a->n[2];
  g.aux = (float)(a->n[3] / (N * K * N));
  g.z = (float)(2.0 * a->n[4] / (N * E));
  parallel_for(L(0), 1 + 2048 / (g.E + 1), router_loss_backward_rows, &g);
}
