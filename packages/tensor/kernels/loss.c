/* Vocabulary kernels: embedding rows, cross-entropy, and KL against a teacher's top-k log-probabilities plus tail mass
   (architecture 6.1; contest rule 10). log q_tail is a logsumexp over the entries outside the top k, never log(1 - sum). */
#include "quasar.h"
#include "half.h"
#include "scalar.h"
#include "simd.h"
#include <stdlib.h>

typedef struct {
  const float *x, *logp, *tail, *lse, *lse_tail, *scale;
  float *out, *out2, *out3;
  const int32_t *ids;
  int32_t *best;
  long M, V, K, D;
  int type;
} vocab;

/* p: out[M,D] table[V,D] ids[M]; n: M D V typeTable. Ids are checked by the caller. */
static void embedding_rows(void *context, long b, long e) {
  vocab *g = context;
  for (long i = b; i < e; i++)
    q_load((const char *)g->x + (int64_t)g->ids[i] * g->D * TYPE_BYTES(g->type), g->type, g->D, g->out + i * g->D);
}
KERNEL(embedding) {
  vocab g = {.out = F(0), .x = F(1), .ids = I(2), .D = L(1), .type = (int)a->n[3]};
  parallel_for(L(0), 1 + 8192 / g.D, embedding_rows, &g);
}
/* dtable[ids[i]] += dout[i], rows in order; columns split between threads. p: dtable[V,D] dout[M,D] ids; n: M D V */
static void embedding_columns(void *context, long b, long e) {
  vocab *g = context;
  for (long v = 0; v < g->V; v++) memset(g->out + v * g->D + b, 0, (e - b) * sizeof(float));
  for (long i = 0; i < g->M; i++) {
    float *to = g->out + (long)g->ids[i] * g->D;
    const float *from = g->x + i * g->D;
    for (long d = b; d < e; d++) to[d] += from[d];
  }
}
KERNEL(embedding_backward) {
  vocab g = {.out = F(0), .x = F(1), .ids = I(2), .M = L(0), .D = L(1), .V = L(2)};
  parallel_for(g.D, 16, embedding_columns, &g);
}
/* out[i] = x[rows[i]]. p: out[M,D] x rows; n: M D */
KERNEL(gather_rows) {
  vocab g = {.out = F(0), .x = F(1), .ids = I(2), .D = L(1)};
  parallel_for(L(0), 1 + 8192 / g.D, embedding_rows, &g);
}
/* out = 0; out[rows[i]] += x[i]. p: out[N,D] x[M,D] rows[M]; n: M D N */
KERNEL(scatter_rows) {
  vocab g = {.out = F(0), .x = F(1), .ids = I(2), .M = L(0), .D = L(1), .V = L(2)};
  parallel_for(g.D, 16, embedding_columns, &g);
}

static float row_max(const float *x, long n) {
  float s[LANES], m = -Q_INF;
  for (int j = 0; j < LANES; j++) s[j] = -Q_INF;
  long i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) s[j] = x[i + j] > s[j] ? x[i + j] : s[j];
  for (; i < n; i++) m = x[i] > m ? x[i] : m;
  for (int j = 0; j < LANES; j++) m = s[j] > m ? s[j] : m;
  return m;
}
static float row_lse(const float *x, long n, float top) {
  float s[LANES] = {0};
  long i = 0;
  if (top == -Q_INF) return -Q_INF;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) s[j] += q_exp(x[i + j] - top);
  for (int j = 0; i + j < n; j++) s[j] += q_exp(x[i + j] - top);
  return top + q_log(lane_sum(s));
}

static void ce_rows(void *context, long b, long e) {
  vocab *g = context;
  for (long i = b; i < e; i++) {
    const float *x = g->x + i * g->V;
    float lse = row_lse(x, g->V, row_max(x, g->V));
    g->out2[i] = lse;
    g->out[i] = g->ids[i] < 0 ? 0.0f : lse - x[g->ids[i]];
  }
}
/* loss_i = logsumexp(x_i) - x_i[target_i]; a negative target gives 0. p: loss[M] lse[M] logits[M,V] target[M]; n: M V */
KERNEL(cross_entropy) {
  vocab g = {.out = F(0), .out2 = F(1), .x = F(2), .ids = I(3), .V = L(1)};
  parallel_for(L(0), 1 + 2048 / g.V, ce_rows, &g);
}
static void ce_backward_rows(void *context, long b, long e) {
  vocab *g = context;
  for (long i = b; i < e; i++) {
    float *dx = g->out + i * g->V, s = g->ids[i] < 0 ? 0.0f : g->scale[i], lse = g->lse[i];
    const float *x = g->x + i * g->V;
    if (s == 0.0f) {
      memset(dx, 0, g->V * sizeof(float));
      continue;
    }
    for (long v = 0; v < g->V; v++) dx[v] = s * q_exp(x[v] - lse);
    dx[g->ids[i]] -= s;
  }
}
/* p: dlogits logits lse target dloss[M]; n: M V */
KERNEL(cross_entropy_backward) {
  vocab g = {.out = F(0), .x = F(1), .lse = F(2), .ids = I(3), .scale = F(4), .V = L(1)};
  parallel_for(L(0), 1 + 2048 / g.V, ce_backward_rows, &g);
}

enum { MAX_TOP_K = 1024 };
#define TAIL_FLOOR 1e-7f

static void kl_rows(void *context, long b, long e) {
  vocab *g = context;
  float *copy = scratch(SCRATCH_KERNEL, g->V * sizeof(float));
  for (long i = b; i < e; i++) {
    const float *x = g->x + i * g->V, *logp = g->logp + i * g->K;
    const int32_t *ids = g->ids + i * g->K;
    float lse = row_lse(x, g->V, row_max(x, g->V)), tail = g->tail[i], loss = 0.0f, lse_tail = -Q_INF;
    memcpy(copy, x, g->V * sizeof(float));
    for (long k = 0; k < g->K; k++) {
      float p = q_exp(logp[k]);
      loss = q_fma(p, logp[k] - (x[ids[k]] - lse), loss);
      copy[ids[k]] = -Q_INF;
    }
    if (tail >= TAIL_FLOOR && g->K < g->V) {
      lse_tail = row_lse(copy, g->V, row_max(copy, g->V));
      loss = q_fma(tail, q_log(tail) - (lse_tail - lse), loss);
    }
    g->out[i] = loss;
    g->out2[i] = lse;
    g->out3[i] = lse_tail;
  }
}
/* loss_i = sum_k p_k (log p_k - log q_k) + p_tail (log p_tail - log q_tail); the tail term is dropped below 1e-7.
   p: loss[M] lse[M] lseTail[M] logits[M,V] ids[M,K] logp[M,K] tail[M]; n: M V K */
KERNEL(kl_top_k) {
  vocab g = {.out = F(0), .out2 = F(1), .out3 = F(2), .x = F(3), .ids = I(4), .logp = F(5), .tail = F(6), .V = L(1), .K = L(2)};
  parallel_for(L(0), 1 + 2048 / g.V, kl_rows, &g);
}
static void kl_backward_rows(void *context, long b, long e) {
  vocab *g = context;
  for (long i = b; i < e; i++) {
    float *dx = g->out + i * g->V, s = g->scale[i], lse = g->lse[i], keep[MAX_TOP_K];
    const float *x = g->x + i * g->V, *logp = g->logp + i * g->K;
    const int32_t *ids = g->ids + i * g->K;
    if (s == 0.0f) {
      memset(dx, 0, g->V * sizeof(float));
      continue;
    }
    int has_tail = g->lse_tail[i] != -Q_INF;
    float mass = has_tail ? g->tail[i] : 0.0f;
    for (long k = 0; k < g->K; k++) mass += keep[k] = q_exp(logp[k]);
    float outside = mass - (has_tail ? g->tail[i] * q_exp(lse - g->lse_tail[i]) : 0.0f);
    for (long k = 0; k < g->K; k++) keep[k] = s * (mass * q_exp(x[ids[k]] - lse) - keep[k]);
    for (long v = 0; v < g->V; v++) dx[v] = s * outside * q_exp(x[v] - lse);
    for (long k = 0; k < g->K; k++) dx[ids[k]] = keep[k];
  }
}
/* d/dx_v = mass q_v - p_v (v in top), q_v (mass - p_tail/q_tail) outside; mass = sum of p used.
   p: dlogits logits lse lseTail ids logp tail dloss[M]; n: M V K (K <= 1024) */
KERNEL(kl_top_k_backward) {
  vocab g = {.out = F(0), .x = F(1), .lse = F(2), .lse_tail = F(3), .ids = I(4), .logp = F(5), .tail = F(6), .scale = F(7),
             .V = L(1), .K = L(2)};
  parallel_for(L(0), 1 + 2048 / g.V, kl_backward_rows, &g);
}

/* An unsigned number that orders like the float; NaN sorts below everything. */
static inline uint32_t order_key(float x) {
  uint32_t bits = (uint32_t)q_float_bits(x == x ? x + 0.0f : -Q_INF);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
static int by_rank(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}
/* The Kth largest key by bisection: every step is one counting pass that runs at vector speed. */
static uint32_t kth_largest(const uint32_t *key, long V, long K) {
  uint32_t low = 0, high = UINT32_MAX;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2 + 1;
    int32_t count = 0;
    for (long v = 0; v < V; v++) count += key[v] >= middle;
    if (count >= K) low = middle;
    else high = middle - 1;
  }
  return low;
}
static void top_k_rows(void *context, long b, long e) {
  vocab *g = context;
  long V = g->V, K = g->K;
  uint64_t *rank = scratch(SCRATCH_KERNEL, K * sizeof(uint64_t) + 2 * V * sizeof(float));
  uint32_t *key = (uint32_t *)(rank + K);
  float *rest = (float *)(key + V);
  for (long i = b; i < e; i++) {
    const float *x = g->x + i * V;
    float *logp = g->out + i * K, lse = row_lse(x, V, row_max(x, V));
    int32_t *ids = g->best + i * K;
    for (long v = 0; v < V; v++) key[v] = order_key(x[v]);
    uint32_t last = kth_largest(key, V, K);
    long above = 0, n = 0;
    for (long v = 0; v < V; v++) above += key[v] > last;
    for (long v = 0, ties = K - above; v < V; v++)
      if (key[v] > last || (key[v] == last && ties-- > 0)) rank[n++] = (uint64_t)(~key[v]) << 32 | (uint64_t)v;
    qsort(rank, n, sizeof *rank, by_rank);
    memcpy(rest, x, V * sizeof(float));
    for (long j = 0; j < n; j++) {
      ids[j] = (int32_t)(rank[j] & 0xffffffffu);
      logp[j] = (x[ids[j]] == x[ids[j]] ? x[ids[j]] : -Q_INF) - lse;
      rest[ids[j]] = -Q_INF;
    }
    g->out2[i] = K == V ? 0.0f : q_exp(row_lse(rest, V, row_max(rest, V)) - lse);
  }
}
/* The K largest log-probabilities of each row, best first (ties: lowest id), and the mass outside them,
   which is summed, not 1 - kept: a light tail would be rounding error. p: ids[M,K] logp[M,K] tail[M] logits[M,V]; n: M V K */
KERNEL(top_k) {
  vocab g = {.best = I(0), .out = F(1), .out2 = F(2), .x = F(3), .V = L(1), .K = L(2)};
  parallel_for(L(0), 1 + 2048 / g.V, top_k_rows, &g);
}
