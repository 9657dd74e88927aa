/* Cross-entropy and KL against a teacher's top k plus tail (as in loss.c) straight from hidden rows and the head: a first pass
   over the vocabulary leaves each row's logsumexp, a second makes each tile's logits again and turns them into gradients. */
#include "head.h"

#define TAIL_FLOOR 1e-7f

typedef struct {
  head w;
  chunk c;
  const int32_t *targets, *ids;
  const float *logp, *tail, *dce, *dkl;
  float *ce, *kl, *lse, *lse_tail;
  int64_t N, K;
  int type;
  /* entries of the vocabulary that rows of the chunk name, by block: row * (K + 1) + k, where k = K is the target */
  int32_t *order;
  int64_t *starts;
  float *named; /* their logits; in the backward pass their gradients */
  int64_t blocks, first, last; /* blocks per tile; the tile's entries */
  float *tiles, *copies, *ref, *sum, *coefficient, *shift, *dhead, *dhidden;
  int add_head;
} job;

static int64_t named_id(const job *g, int64_t entry) {
  int64_t row = g->c.rows[entry / (g->K + 1)], k = entry % (g->K + 1);
  if (k < g->K) return g->ids[row * g->K + k];
  return g->targets ? g->targets[row] : -1;
}
/* Counting sort of the named entries by block. */
static void sort_named(job *g) {
  int64_t count = g->c.count * (g->K + 1), blocks = (g->w.V + BLOCK - 1) / BLOCK;
  memset(g->starts, 0, (blocks + 1) * sizeof *g->starts);
  for (int64_t i = 0; i < count; i++) {
    int64_t id = named_id(g, i);
    if (id >= 0) g->starts[id / BLOCK + 1]++;
  }
  for (int64_t b = 0; b < blocks; b++) g->starts[b + 1] += g->starts[b];
  for (int64_t i = 0; i < count; i++) {
    int64_t id = named_id(g, i);
    if (id >= 0) g->order[g->starts[id / BLOCK]++] = (int32_t)i;
  }
  for (int64_t b = blocks; b > 0; b--) g->starts[b] = g->starts[b - 1];
  g->starts[0] = 0;
}
static inline float *named_logit(const job *g, int64_t entry, float *tile, int64_t v) {
  return tile + (named_id(g, entry) - v) * g->c.ld + entry / (g->K + 1);
}

static void forward_blocks(void *context, long b, long e) {
  job *g = context;
  float *tile = scratch(SCRATCH_PACK_B, BLOCK * g->c.ld * sizeof(float));
  for (int64_t i = b; i < e; i++) {
    int64_t v = g->first + i * BLOCK, n = MIN(BLOCK, g->w.V - v), block = v / BLOCK;
    head_block(&g->w, &g->c, v, n, tile, NULL);
    for (int64_t j = g->starts[block]; j < g->starts[block + 1]; j++)
      g->named[g->order[j]] = *named_logit(g, g->order[j], tile, v);
    for (int64_t j = g->starts[block]; j < g->starts[block + 1]; j++)
      if (g->order[j] % (g->K + 1) < g->K) *named_logit(g, g->order[j], tile, v) = -Q_INF;
    block_mass(tile, n, g->c.ld, g->c.padded, g->ref + i * g->c.ld, g->sum + i * g->c.ld);
  }
}
/* The masses of a tile's blocks in one, added to those of the tiles before. */
static void add_tile(job *g, mass *rows, int64_t blocks) {
  for (int64_t t = 0; t < g->c.count; t++) {
    mass tile = {g->ref[t], g->sum[t]};
    for (int64_t i = 1; i < blocks; i++) mass_add(&tile, (mass){g->ref[i * g->c.ld + t], g->sum[i * g->c.ld + t]});
    mass_add(&rows[t], tile);
  }
}

static void finish_rows(job *g, mass *rows) {
  for (int64_t t = 0; t < g->c.count; t++) {
    int64_t row = g->c.rows[t];
    const float *x = g->named + t * (g->K + 1), *logp = g->logp + row * g->K;
    mass all = rows[t], top = {LOWEST, 0.0f};
    float tail = g->kl ? g->tail[row] : 0.0f, lse_tail = -Q_INF, loss = 0.0f;
    int has_tail = tail >= TAIL_FLOOR && g->K < g->w.V;
    if (has_tail) lse_tail = mass_log(all);
    for (int64_t k = 0; k < g->K; k++) top.ref = MAX(x[k], top.ref);
    for (int64_t k = 0; k < g->K; k++) top.sum += q_exp(x[k] - top.ref);
    mass_add(&all, top);
    float lse = g->lse[row] = mass_log(all);
    if (g->ce) g->ce[row] = g->targets[row] < 0 ? 0.0f : lse - x[g->K];
    if (!g->kl) continue;
    for (int64_t k = 0; k < g->K; k++) loss = q_fma(q_exp(logp[k]), logp[k] - (x[k] - lse), loss);
    if (has_tail) loss = q_fma(tail, q_log(tail) - (lse_tail - lse), loss);
    g->kl[row] = loss;
    g->lse_tail[row] = lse_tail;
  }
}

static void backward_blocks(void *context, long b, long e) {
  job *g = context;
  int64_t ld = g->c.ld, step = ROUND_UP(g->w.d, STRIPE) * BLOCK;
  for (int64_t i = b; i < e; i++) {
    int64_t v = g->first + i * BLOCK, n = MIN(BLOCK, g->w.V - v), block = v / BLOCK;
    float *tile = g->tiles + i * BLOCK * ld;
    head_block(&g->w, &g->c, v, n, tile, g->dhidden ? g->copies + i * step : NULL);
    for (int64_t j = g->starts[block]; j < g->starts[block + 1]; j++)
      g->named[g->order[j]] = *named_logit(g, g->order[j], tile, v);
    for (int64_t r = 0; r < n; r++)
      for (int64_t t = 0; t < g->c.padded; t += VW) {
        float *x = tile + r * ld + t;
        vstore(x, vmul(vload(g->coefficient + t), vexp(vadd(vload(x), vload(g->shift + t)))));
      }
    /* what a named entry gets beside its share of the softmax: first the top k, then the target on top of that */
    for (int want_target = 0; want_target < 2; want_target++)
      for (int64_t j = g->starts[block]; j < g->starts[block + 1]; j++) {
        int64_t entry = g->order[j], t = entry / (g->K + 1), k = entry % (g->K + 1), row = g->c.rows[t];
        if ((k == g->K) != want_target) continue;
        float *x = named_logit(g, entry, tile, v), ce = g->dce ? g->dce[row] : 0.0f;
        if (want_target) *x -= ce;
        else {
          float kl = g->dkl[row], used = g->sum[t], q = q_exp(g->named[entry] + g->shift[t]);
          if (g->dce && g->targets[row] >= 0) *x = ce * q;
          else *x = 0.0f;
          *x = q_fma(kl, used * q - q_exp(g->logp[row * g->K + k]), *x);
        }
      }
    if (g->dhead) head_gradient(&g->c, tile, n, g->dhead + v * g->w.d, g->add_head);
  }
}
static void backward_columns(void *context, long b, long e) {
  job *g = context;
  hidden_gradient(&g->c, g->tiles, g->copies, g->last - g->first, g->dhidden, g->first > 0, b, e);
}

/* Per row of the chunk: the factor of its softmax in the gradient, minus its logsumexp, and the sum of the p that count. */
static void prepare_rows(job *g) {
  for (int64_t t = 0; t < g->c.padded; t++) g->coefficient[t] = 0.0f, g->shift[t] = -Q_INF;
  for (int64_t t = 0; t < g->c.count; t++) {
    int64_t row = g->c.rows[t];
    float ce = g->dce && g->targets[row] >= 0 ? g->dce[row] : 0.0f, used = 0.0f, outside = 0.0f;
    if (g->dkl) {
      int has_tail = g->lse_tail[row] != -Q_INF;
      used = has_tail ? g->tail[row] : 0.0f;
      for (int64_t k = 0; k < g->K; k++) used += q_exp(g->logp[row * g->K + k]);
      outside = used - (has_tail ? g->tail[row] * q_exp(g->lse[row] - g->lse_tail[row]) : 0.0f);
    }
    g->coefficient[t] = g->dkl ? q_fma(g->dkl[row], outside, ce) : ce;
    g->shift[t] = -g->lse[row];
    g->sum[t] = used;
  }
}

/* Rows that count: in the forward pass those with a target or a teacher, in the backward pass those with a gradient. */
static int counts(const job *g, int64_t row, int backward) {
  if (!backward) return g->kl != NULL || g->targets[row] >= 0;
  return (g->dkl && g->dkl[row] != 0.0f) || (g->dce && g->targets[row] >= 0 && g->dce[row] != 0.0f);
}

static void run(job *g, const float *hidden, float *dhidden, int backward) {
  int64_t N = g->N, d = g->w.d, V = g->w.V, all = (V + BLOCK - 1) / BLOCK, wide = ROUND_UP(d, STRIPE);
  int64_t most = MIN(MAX_CHUNK, ROUND_UP(N, LANES)), ld = ROUND_UP(most, STRIPE) + LANES;
  g->blocks = tile_blocks(V, d);
  size_t sizes[] = {N * 4, most * (g->K + 1) * 4, (all + 1) * 8, most * (g->K + 1) * 4, backward ? g->blocks * BLOCK * ld * 4 : 0,
                     g->blocks * ld * 4, g->blocks * ld * 4, ld * 4, ld * 4, most * sizeof(mass), ROUND_UP(most, STRIPE) * d * 4,
                     g->dhead ? wide * most * 4 : 0, dhidden ? g->blocks * BLOCK * wide * 4 : 0, dhidden ? most * d * 4 : 0};
  void *part[sizeof sizes / sizeof *sizes];
  take_parts(part, sizes, sizeof sizes / sizeof *sizes);
  int32_t *rows = part[0];
  g->order = part[1], g->starts = part[2], g->named = part[3], g->tiles = part[4], g->ref = part[5], g->sum = part[6];
  g->coefficient = part[7], g->shift = part[8], g->copies = part[12], g->dhidden = dhidden ? part[13] : NULL;
  mass *masses = part[9];
  int64_t active = 0;
  for (int64_t i = 0; i < N; i++)
    if (counts(g, i, backward)) rows[active++] = (int32_t)i;
  if (g->dhead && active == 0) memset(g->dhead, 0, V * d * sizeof(float));
  if (dhidden && active < N) memset(dhidden, 0, N * d * sizeof(float));
  int64_t step = chunk_rows(active);
  for (int64_t at = 0; at < active; at += step) {
    int64_t count = MIN(step, active - at), padded = ROUND_UP(count, LANES);
    g->c = (chunk){.hidden = hidden, .rows = rows + at, .count = count, .padded = padded, .ld = padded + LANES, .d = d,
                   .by_rows = part[10], .by_columns = g->dhead ? part[11] : NULL};
    pack_chunk(&g->c);
    sort_named(g);
    if (backward) prepare_rows(g);
    for (int64_t t = 0; t < count; t++) masses[t] = (mass){LOWEST, 0.0f};
    g->add_head = at > 0;
    for (g->first = 0; g->first < V; g->first = g->last) {
      g->last = MIN(V, g->first + g->blocks * BLOCK);
      int64_t blocks = (g->last - g->first + BLOCK - 1) / BLOCK;
      parallel_for(blocks, 1, backward ? backward_blocks : forward_blocks, g);
      if (!backward) add_tile(g, masses, blocks);
      else if (dhidden) parallel_for(wide / STRIPE, 1, backward_columns, g);
    }
    if (!backward) finish_rows(g, masses);
    for (int64_t t = 0; dhidden && t < count; t++)
      memcpy(dhidden + g->c.rows[t] * d, g->dhidden + t * d, d * sizeof(float));
  }
}

/* Per row, of the logits hidden head^T: ce = -log q[target] (0 where the target is negative), and kl as kl_top_k. A row
   without a target and without a teacher is not looked at: all its outputs are 0.
   p: ce[N]|NULL kl[N]|NULL lse[N] lseTail[N]|NULL hidden[N,d] head[V,d] targets[N]|NULL ids[N,K]|NULL logp[N,K]|NULL
   tail[N]|NULL; n: N V d K typeHead. ce comes with targets, kl with lseTail, ids, logp and tail; without kl K = 0. */
KERNEL(head_loss) {
  job g = {.ce = F(0), .kl = F(1), .lse = F(2), .lse_tail = F(3), .targets = I(6), .ids = I(7), .logp = F(8), .tail = F(9),
           .N = L(0), .K = L(3), .w = {a->p[5], L(1), L(2), (int)a->n[4]}};
  for (int64_t i = 0; i < g.N; i++) {
    g.lse[i] = 0.0f;
    if (g.ce) g.ce[i] = 0.0f;
  }
  run(&g, F(4), NULL, 0);
}
/* The logits' gradient is dce (q - [target]) + dkl (as kl_top_k_backward).
   p: dhidden[N,d]|NULL dhead[V,d]|NULL hidden head lse lseTail|NULL targets|NULL ids|NULL logp|NULL tail|NULL dce[N]|NULL
   dkl[N]|NULL; n: N V d K typeHead */
KERNEL(head_loss_backward) {
  job g = {.lse = F(4), .lse_tail = F(5), .targets = I(6), .ids = I(7), .logp = F(8), .tail = F(9), .dce = F(10), .dkl = F(11),
           .N = L(0), .K = L(3), .dhead = F(1), .w = {a->p[3], L(1), L(2), (int)a->n[4]}};
  run(&g, F(2), F(0), 1);
}
