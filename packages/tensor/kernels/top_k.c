/* The top k of rows of logits. */
#include "softmax.h"
#include "top_k.h"

typedef struct {
  const float *x;
  float *logp, *tail;
  int32_t *ids;
  int64_t V, K;
} top_rows;

enum { LOOK = 128 };

/* The K best of x[V] with their ids, best first. */
static void best_of_row(const float *x, int64_t V, int64_t K, uint64_t *heap) {
  for (int64_t v = 0; v < K; v++) heap[v] = rank_of(x[v], (int32_t)v);
  heap_make(heap, K);
  for (int64_t at = K; at < V; at += LOOK) {
    int64_t n = MIN(LOOK, V - at);
    float least = rank_value(heap[0]);
    if (row_max(x + at, n) <= least) continue;
    /* an equal value of a higher id ranks below */
    for (int64_t v = at; v < at + n; v++) {
      if (!(x[v] > least)) continue;
      heap[0] = rank_of(x[v], (int32_t)v);
      heap_sink(heap, K, 0);
      least = rank_value(heap[0]);
    }
  }
  heap_sort(heap, K);
}

static void best_rows(void *context, long b, long e) {
  top_rows *g = context;
  int64_t V = g->V, K = g->K;
  uint64_t *heap = scratch(SCRATCH_KERNEL, K * sizeof *heap + V * sizeof(float));
  float *rest = (float *)(heap + K);
  for (long i = b; i < e; i++) {
    const float *x = g->x + i * V;
    float *logp = g->logp + i * K;
    int32_t *ids = g->ids + i * K;
    best_of_row(x, V, K, heap);
    memcpy(rest, x, V * sizeof(float));
    mass top = {MAX(rank_value(heap[0]), LOWEST), 0.0f};
    for (int64_t k = 0; k < K; k++) {
      ids[k] = rank_id(heap[k]);
      top.sum += q_exp(x[ids[k]] - top.ref);
      rest[ids[k]] = -Q_INF;
    }
    mass all = row_mass(rest, V);
    float lse_tail = mass_log(all);
    mass_add(&all, top);
    float lse = mass_log(all);
    for (int64_t k = 0; k < K; k++) logp[k] = rank_value(heap[k]) - lse;
    g->tail[i] = K == V ? 0.0f : q_exp(lse_tail - lse);
  }
}
/* The K largest log-probabilities of each row, best first (ties: lowest id), and the mass outside them,
   which is summed, not 1 - kept: a light tail would be rounding error. p: ids[M,K] logp[M,K] tail[M] logits[M,V]; n: M V K */
KERNEL(top_k) {
  top_rows g = {.ids = I(0), .logp = F(1), .tail = F(2), .x = F(3), .V = L(1), .K = L(2)};
  parallel_for(L(0), 1 + 2048 / (g.V + 1), best_rows, &g);
}
