/* The top k of the logits of hidden rows, straight from the head. What a row turns away or gives up again goes into the mass
   outside; what it keeps is taken out of the tile, so that no large number is subtracted from another. */
#include "head.h"
#include "top_k.h"

typedef struct {
  head w;
  chunk c;
  int64_t K, first, blocks;
  float *tiles, *ref, *sum;
  uint64_t *heaps; /* [count, K] */
  mass *rest;
} job;

static void logit_blocks(void *context, long b, long e) {
  job *g = context;
  for (int64_t i = b; i < e; i++) {
    int64_t v = g->first + i * BLOCK;
    head_block(&g->w, &g->c, v, MIN(BLOCK, g->w.V - v), g->tiles + i * BLOCK * g->c.ld, NULL);
  }
}

static mass one(float x) { return x == -Q_INF ? (mass){LOWEST, 0.0f} : (mass){x, 1.0f}; }

/* Entries of a column of tile[n, ld], the first of them id v, that are among the K best so far; they become -Infinity. */
static void keep_best(const job *g, int64_t row, float *column, int64_t n, int64_t v) {
  uint64_t *heap = g->heaps + row * g->K;
  for (int64_t i = 0; i < n; i++, v++) {
    float *x = column + i * g->c.ld;
    if (v < g->K) {
      heap[v] = rank_of(*x, (int32_t)v);
      if (v == g->K - 1) heap_make(heap, g->K);
    } else {
      float least = rank_value(heap[0]);
      if (!(*x > least)) continue;
      mass_add(&g->rest[row], one(least));
      heap[0] = rank_of(*x, (int32_t)v);
      heap_sink(heap, g->K, 0);
    }
    if (*x == *x) *x = -Q_INF; /* NaN stays and shows */
  }
}
static void select_rows(void *context, long b, long e) {
  job *g = context;
  for (int64_t i = 0; i < g->blocks; i++) {
    int64_t v = g->first + i * BLOCK, n = MIN(BLOCK, g->w.V - v), padded = MIN(LANES * (e - b), g->c.padded - LANES * b);
    float *tile = g->tiles + i * BLOCK * g->c.ld, *ref = g->ref + b * LANES, *sum = g->sum + b * LANES;
    block_max(tile + b * LANES, n, g->c.ld, padded, ref);
    for (int64_t t = b * LANES; t < MIN(e * LANES, g->c.count); t++)
      if (v < g->K || g->ref[t] > rank_value(g->heaps[t * g->K])) keep_best(g, t, tile + t, n, v);
    block_mass(tile + b * LANES, n, g->c.ld, padded, ref, sum);
    for (int64_t t = b * LANES; t < MIN(e * LANES, g->c.count); t++) mass_add(&g->rest[t], (mass){g->ref[t], g->sum[t]});
  }
}

/* As top_k on the logits hidden head^T, which never exist together. p: ids[N,K] logp[N,K] tail[N] hidden[N,d] head[V,d];
   n: N V d K typeHead */
KERNEL(head_top_k) {
  int64_t N = L(0), V = L(1), d = L(2), K = L(3), most = MIN(MAX_CHUNK, ROUND_UP(N, LANES)), ld = ROUND_UP(most, STRIPE) + LANES;
  int64_t blocks = tile_blocks(V, d);
  job g = {.w = {a->p[4], V, d, (int)a->n[4]}, .K = K};
  size_t sizes[] = {blocks * BLOCK * ld * sizeof(float), ld * sizeof(float), ld * sizeof(float), most * K * sizeof(uint64_t),
                    most * sizeof(mass), ROUND_UP(most, STRIPE) * d * sizeof(float), most * sizeof(int32_t)};
  void *part[sizeof sizes / sizeof *sizes];
  take_parts(part, sizes, sizeof sizes / sizeof *sizes);
  g.tiles = part[0], g.ref = part[1], g.sum = part[2], g.heaps = part[3], g.rest = part[4];
  int32_t *rows = part[6];
  int64_t step = chunk_rows(N);
  for (int64_t at = 0; at < N; at += step) {
    int64_t count = MIN(step, N - at), padded = ROUND_UP(count, LANES);
    for (int64_t t = 0; t < count; t++) rows[t] = (int32_t)(at + t), g.rest[t] = (mass){LOWEST, 0.0f};
    g.c = (chunk){.hidden = F(3), .rows = rows, .count = count, .padded = padded, .ld = padded + LANES, .d = d, .by_rows = part[5]};
    pack_chunk(&g.c);
    for (g.first = 0; g.first < V; g.first += g.blocks * BLOCK) {
      g.blocks = MIN(blocks, (V - g.first + BLOCK - 1) / BLOCK);
      parallel_for(g.blocks, 1, logit_blocks, &g);
      parallel_for(padded / LANES, 1, select_rows, &g);
    }
    for (int64_t t = 0; t < count; t++) {
      uint64_t *heap = g.heaps + t * K;
      int32_t *ids = I(0) + (at + t) * K;
      float *logp = F(1) + (at + t) * K, lse_tail = mass_log(g.rest[t]);
      heap_sort(heap, K);
      mass all = g.rest[t], top = {MAX(rank_value(heap[0]), LOWEST), 0.0f};
      for (int64_t k = 0; k < K; k++) top.sum += q_exp(rank_value(heap[k]) - top.ref);
      mass_add(&all, top);
      float lse = mass_log(all);
      for (int64_t k = 0; k < K; k++) {
        ids[k] = rank_id(heap[k]);
        logp[k] = rank_value(heap[k]) - lse;
      }
      F(2)[at + t] = K == V ? 0.0f : q_exp(lse_tail - lse);
    }
  }
}
