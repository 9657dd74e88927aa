/* Losses on given logits: cross-entropy, and KL against a teacher's top-k log-probabilities plus tail mass
   (architecture 6.1; contest rule 10). log q_tail is a logsumexp over the entries outside the top k, never log(1 - sum). */
#include "softmax.h"

typedef struct {
  const float *x, *logp, *tail, *lse, *lse_tail, *scale;
  float *out, *out2, *out3;
  const int32_t *ids;
  int64_t V, K;
} losses;

static void ce_rows(void *context, long b, long e) {
  losses *g = context;
  for (long i = b; i < e; i++) {
    const float *x = g->x + i * g->V;
    float lse = mass_log(row_mass(x, g->V));
    g->out2[i] = lse;
    g->out[i] = g->ids[i] < 0 ? 0.0f : lse - x[g->ids[i]];
  }
}
/* loss_i = logsumexp(x_i) - x_i[target_i]; a negative target gives 0. p: loss[M] lse[M] logits[M,V] target[M]; n: M V */
KERNEL(cross_entropy) {
  losses g = {.out = F(0), .out2 = F(1), .x = F(2), .ids = I(3), .V = L(1)};
  parallel_for(L(0), 1 + 2048 / (g.V + 1), ce_rows, &g);
}

/* dx = scale e^(x - lse) */
static void scaled_softmax(float *dx, const float *x, int64_t n, float lse, float scale) {
  int64_t i = 0;
  for (; i + VW <= n; i += VW) vstore(dx + i, vmul(vset(scale), vexp(vadd(vload(x + i), vset(-lse)))));
  if (i == n) return;
  float edge[VW] = {0};
  memcpy(edge, x + i, (n - i) * sizeof(float));
  vstore(edge, vmul(vset(scale), vexp(vadd(vload(edge), vset(-lse)))));
  memcpy(dx + i, edge, (n - i) * sizeof(float));
}
static void ce_backward_rows(void *context, long b, long e) {
  losses *g = context;
  for (long i = b; i < e; i++) {
    float *dx = g->out + i * g->V, s = g->ids[i] < 0 ? 0.0f : g->scale[i];
    if (s == 0.0f) {
      memset(dx, 0, g->V * sizeof(float));
      continue;
    }
    scaled_softmax(dx, g->x + i * g->V, g->V, g->lse[i], s);
    dx[g->ids[i]] -= s;
  }
}
/* p: dlogits logits lse target dloss[M]; n: M V */
KERNEL(cross_entropy_backward) {
  losses g = {.out = F(0), .x = F(1), .lse = F(2), .ids = I(3), .scale = F(4), .V = L(1)};
  parallel_for(L(0), 1 + 2048 / (g.V + 1), ce_backward_rows, &g);
}

enum { MAX_TOP_K = 1024 };
#define TAIL_FLOOR 1e-7f

static void kl_rows(void *context, long b, long e) {
  losses *g = context;
  float *copy = scratch(SCRATCH_KERNEL, g->V * sizeof(float));
  for (long i = b; i < e; i++) {
    const float *x = g->x + i * g->V, *logp = g->logp + i * g->K;
    const int32_t *ids = g->ids + i * g->K;
    float tail = g->tail[i], loss = 0.0f, lse_tail = -Q_INF;
    mass top = {LOWEST, 0.0f};
    memcpy(copy, x, g->V * sizeof(float));
    for (int64_t k = 0; k < g->K; k++) {
      top.ref = MAX(x[ids[k]], top.ref);
      copy[ids[k]] = -Q_INF;
    }
    for (int64_t k = 0; k < g->K; k++) top.sum += q_exp(x[ids[k]] - top.ref);
    mass all = row_mass(copy, g->V);
    int has_tail = tail >= TAIL_FLOOR && g->K < g->V;
    if (has_tail) lse_tail = mass_log(all);
    mass_add(&all, top);
    float lse = mass_log(all);
    for (int64_t k = 0; k < g->K; k++) loss = q_fma(q_exp(logp[k]), logp[k] - (x[ids[k]] - lse), loss);
    if (has_tail) loss = q_fma(tail, q_log(tail) - (lse_tail - lse), loss);
    g->out[i] = loss;
    g->out2[i] = lse;
    g->out3[i] = lse_tail;
  }
}
/* loss_i = sum_k p_k (log p_k - log q_k) + p_tail (log p_tail - log q_tail); the tail term is dropped below 1e-7.
   p: loss[M] lse[M] lseTail[M] logits[M,V] ids[M,K] logp[M,K] tail[M]; n: M V K */
KERNEL(kl_top_k) {
  losses g = {.out = F(0), .out2 = F(1), .out3 = F(2), .x = F(3), .ids = I(4), .logp = F(5), .tail = F(6), .V = L(1), .K = L(2)};
  parallel_for(L(0), 1 + 2048 / (g.V + 1), kl_rows, &g);
}
static void kl_backward_rows(void *context, long b, long e) {
  losses *g = context;
  for (long i = b; i < e; i++) {
    float *dx = g->out + i * g->V, s = g->scale[i], lse = g->lse[i], keep[MAX_TOP_K];
    const float *x = g->x + i * g->V, *logp = g->logp + i * g->K;
    const int32_t *ids = g->ids + i * g->K;
    if (s == 0.0f) {
      memset(dx, 0, g->V * sizeof(float));
      continue;
    }
    int has_tail = g->lse_tail[i] != -Q_INF;
    float used = has_tail ? g->tail[i] : 0.0f;
    for (int64_t k = 0; k < g->K; k++) used += keep[k] = q_exp(logp[k]);
    float outside = used - (has_tail ? g->tail[i] * q_exp(lse - g->lse_tail[i]) : 0.0f);
    for (int64_t k = 0; k < g->K; k++) keep[k] = s * (used * q_exp(x[ids[k]] - lse) - keep[k]);
    scaled_softmax(dx, x, g->V, lse, s * outside);
    for (int64_t k = 0; k < g->K; k++) dx[ids[k]] = keep[k];
  }
}
/* d/dx_v = used q_v - p_v (v in top), q_v (used - p_tail/q_tail) outside; used = sum of the p that count.
   p: dlogits logits lse lseTail ids logp tail dloss[M]; n: M V K (K <= 1024) */
KERNEL(kl_top_k_backward) {
  losses g = {.out = F(0), .x = F(1), .lse = F(2), .lse_tail = F(3), .ids = I(4), .logp = F(5), .tail = F(6), .scale = F(7),
             .V = L(1), .K = L(2)};
  parallel_for(L(0), 1 + 2048 / (g.V + 1), kl_backward_rows, &g);
}
