/* KL between the whole distributions of a teacher and a student, either way round, with its gradient (architecture 6.1). A
   first reading of both rows of logits leaves what the gradient needs in scratch, so that no exponential is computed twice;
   the second makes the gradient of it. Blocks of a row know nothing of each other until their sums meet in order, so few long
   rows are shared between threads block by block. */
#include "divergence.h"

#define LOG2_E 1.44269504089f
#define LN_2 0.69314718056f
/* A block whose logits (over the temperature) rise further above the ref of its row begins again with its own. */
#define BLOCK_RISE 40.0f
/* Gradients larger than this would not stay in a cache of one core. */
enum { STREAMED_BYTES = 1 << 21 };

typedef struct {
  const float *student, *teacher, *weight;
  float *loss, *gradient;
  int64_t M, V;
  int direction;
  float temperature;
} divergence;

typedef struct {
  const divergence *g;
  const float *first, *second;
  float *kept, *other, *gradient, weight; /* gradient NULL: only the loss */
  pair start, all, *blocks;
} row;

/* n entries of both rows, relative to the refs of `p`. `kept` gets e^x of the student, `other` e^x of the teacher (forward) or
   log2 of first over second (reverse), both filled up to LANES. Returns 0 with new refs where a row rises too far above. */
static inline __attribute__((always_inline)) int read_block(const int direction, const int keep, float temperature, pair *p,
                                                            const float *first, const float *second, int64_t n, float *kept,
                                                            float *other) {
  float edges[2][LANES];
  vf most[2][ROW_VECTORS], sum[2][ROW_VECTORS], distance[ROW_VECTORS];
  vf scale = vset(LOG2_E / temperature), ref[2] = {vset(p->ref[0]), vset(p->ref[1])};
  for (int c = 0; c < ROW_VECTORS; c++)
    for (int w = 0; w < 2; w++) most[w][c] = vset(-Q_INF), sum[w][c] = distance[c] = vset(0.0f);
  for (int64_t i = 0; i < n; i += LANES) {
    const float *x = lanes_at(first, i, n, edges[0]), *y = lanes_at(second, i, n, edges[1]);
    for (int c = 0; c < ROW_VECTORS; c++) {
      vf a = vload(x + c * VW), b = vload(y + c * VW);
      most[0][c] = vmax(a, most[0][c]);
      most[1][c] = vmax(b, most[1][c]);
      a = vmul(vsub(a, ref[0]), scale), b = vmul(vsub(b, ref[1]), scale);
      /* an entry that both rule out counts nothing */
      vf ea = vexp2(a), eb = vexp2(b), d = vmax(vsub(a, b), vset(-1e30f));
      sum[0][c] = vadd(sum[0][c], ea);
      sum[1][c] = vadd(sum[1][c], eb);
      distance[c] = vfma(ea, d, distance[c]);
      if (!keep) continue;
      vstore(kept + i + c * VW, direction == FORWARD_KL ? eb : ea);
      vstore(other + i + c * VW, direction == FORWARD_KL ? ea : d);
    }
  }
  int fits = 1;
  for (int w = 0; w < 2; w++) {
    float top = vectors_max(most[w]);
    if (!(top > p->ref[w] + BLOCK_RISE * temperature)) continue;
    p->ref[w] = top;
    fits = 0;
  }
  for (int w = 0; w < 2; w++) p->sum[w] = vectors_sum(sum[w]);
  p->distance = vectors_sum(distance) * (LN_2 * temperature);
  return fits;
}
#define READ(direction, keep) read_block(direction, keep, r->g->temperature, p, first, second, n, kept, other)
static __attribute__((noinline)) int read_loss(const row *r, pair *p, const float *first, const float *second, int64_t n) {
  float *kept = NULL, *other = NULL;
  return READ(FORWARD_KL, 0);
}
static __attribute__((noinline)) int read_forward(const row *r, pair *p, const float *first, const float *second, int64_t n,
                                                  float *kept, float *other) {
  return READ(FORWARD_KL, 1);
}
static __attribute__((noinline)) int read_reverse(const row *r, pair *p, const float *first, const float *second, int64_t n,
                                                  float *kept, float *other) {
  return READ(REVERSE_KL, 1);
}

static void read_blocks(void *context, long b, long e) {
  row *r = context;
  for (int64_t i = b; i < e; i++) {
    int64_t at = i * SOFTMAX_BLOCK, n = MIN(r->g->V - at, SOFTMAX_BLOCK);
    const float *first = r->first + at, *second = r->second + at;
    float *kept = r->kept + at, *other = r->other + at;
    pair *p = &r->blocks[i];
    int fits;
    *p = r->start;
    do
      fits = !r->gradient                    ? read_loss(r, p, first, second, n)
             : r->g->direction == FORWARD_KL ? read_forward(r, p, first, second, n, kept, other)
                                             : read_reverse(r, p, first, second, n, kept, other);
    while (!fits);
  }
}

/* kept q + other p (forward) or kept q (other p + mean) (reverse), without branches on what is the same for a whole block. */
static inline __attribute__((always_inline)) void scale_block(const int forward, const int streamed, float q1, float p1,
                                                              float mean1, int64_t n, const float *kept, const float *other,
                                                              float *gradient) {
  vf q = vset(q1), p = vset(p1), mean = vset(mean1);
  for (int64_t i = 0; i < n; i += VW) {
    vf k = vmul(vload(kept + i), q), o = vload(other + i);
    vf y = forward ? vfma(o, p, k) : vmul(k, vfma(o, p, mean));
    if (i + VW > n) vstore_part(gradient + i, y, (int)(n - i));
    else if (streamed) vstream(gradient + i, y);
    else vstore(gradient + i, y);
  }
}
static void gradient_blocks(void *context, long b, long e) {
  const row *r = context;
  const divergence *g = r->g;
  const pair *all = &r->all;
  int forward = g->direction == FORWARD_KL, student = forward;
  int streamed = g->M * g->V * (int64_t)sizeof(float) > STREAMED_BYTES && (uintptr_t)r->gradient % (VW * sizeof(float)) == 0;
  float inverse = 1.0f / g->temperature;
  for (int64_t i = b; i < e; i++) {
    const pair *then = &r->blocks[i];
    int64_t at = i * SOFTMAX_BLOCK, n = MIN(g->V - at, SOFTMAX_BLOCK);
    const float *kept = r->kept + at, *other = r->other + at;
    float scale[2];
    for (int w = 0; w < 2; w++) scale[w] = r->weight * q_exp((then->ref[w] - all->ref[w]) * inverse) / all->sum[w];
    float q = scale[student] * (forward ? g->temperature : 1.0f), p = (forward ? -scale[0] : LN_2) * g->temperature;
    float mean = (then->ref[0] - then->ref[1]) - (all->ref[0] - all->ref[1]) - all->distance / all->sum[0];
    if (forward && streamed) scale_block(1, 1, q, p, mean, n, kept, other, r->gradient + at);
    else if (forward) scale_block(1, 0, q, p, mean, n, kept, other, r->gradient + at);
    else if (streamed) scale_block(0, 1, q, p, mean, n, kept, other, r->gradient + at);
    else scale_block(0, 0, q, p, mean, n, kept, other, r->gradient + at);
  }
  if (streamed) vstream_end();
}

/* Inside a loop over rows the loops over blocks run on their thread alone. */
static void divergence_rows(void *context, long b, long e) {
  const divergence *g = context;
  int64_t V = g->V, blocks = (V + SOFTMAX_BLOCK - 1) / SOFTMAX_BLOCK, padded = (V + LANES - 1) / LANES * LANES;
  float *kept = scratch(SCRATCH_KERNEL, (g->gradient ? 2 * padded : 0) * sizeof(float) + blocks * sizeof(pair));
  float *other = kept + (g->gradient ? padded : 0);
  float temperature = g->temperature, inverse = 1.0f / temperature;
  int forward = g->direction == FORWARD_KL;
  for (int64_t i = b; i < e; i++) {
    const float *student = g->student + i * V, *teacher = g->teacher + i * V;
    row r = {.g = g, .first = forward ? teacher : student, .second = forward ? student : teacher, .kept = kept, .other = other,
             .gradient = g->gradient ? g->gradient + i * V : NULL, .weight = g->weight ? g->weight[i] : 1.0f,
             .blocks = (pair *)(other + (g->gradient ? padded : 0))};
    if (r.weight == 0.0f) {
      g->loss[i] = 0.0f;
      if (r.gradient) memset(r.gradient, 0, V * sizeof(float));
      continue;
    }
    int64_t start = MIN(V, SOFTMAX_BLOCK);
    r.start = (pair){{MAX(row_max(r.first, start), LOWEST), MAX(row_max(r.second, start), LOWEST)}, {0.0f, 0.0f}, 0.0f};
    parallel_for(blocks, 4, read_blocks, &r);
    r.all = blocks > 0 ? r.blocks[0] : r.start;
    for (int64_t n = 1; n < blocks; n++) pair_add(&r.all, r.blocks[n], inverse);
    g->loss[i] = r.weight * temperature * temperature * pair_kl(&r.all, inverse);
    if (r.gradient) parallel_for(blocks, 4, gradient_blocks, &r);
  }
}
/* Forward: loss_i = w_i t^2 sum_v p_v (log p_v - log q_v), dlogits = w_i t (q - p), where p = softmax(teacher / t) and
   q = softmax(logits / t). Reverse: loss_i = w_i t^2 sum_v q_v (log q_v - log p_v), dlogits = w_i t q_v (log q_v - log p_v - KL).
   Without weights every w_i is 1; a row of weight 0 is not looked at.
   p: loss[M] dlogits[M,V]|NULL logits[M,V] teacher[M,V] weights[M]|NULL; n: M V direction (0 forward, 1 reverse) t */
KERNEL(divergence) {
  divergence g = {.loss = F(0), .gradient = F(1), .student = F(2), .teacher = F(3), .weight = F(4), .M = L(0), .V = L(1),
                  .direction = (int)a->n[2], .temperature = (float)a->n[3]};
  if (g.M >= 4 * pool_threads() || g.V < 8 * SOFTMAX_BLOCK) parallel_for(g.M, 1 + SOFTMAX_BLOCK / (g.V + 1), divergence_rows, &g);
  else divergence_rows(&g, 0, g.M);
}

static void scale_each(void *context, long b, long e) {
  divergence *g = context;
  for (long i = b; i < e; i++) {
    float *x = g->gradient + i * g->V, s = g->weight[i];
    if (s == 1.0f) continue;
    for (int64_t v = 0; v < g->V; v++) x[v] *= s;
  }
}
/* x[i] *= s[i] in place; a row times one is not touched. p: x[M,V] s[M]; n: M V */
KERNEL(scale_rows) {
  divergence g = {.gradient = F(0), .weight = F(1), .V = L(1)};
  parallel_for(L(0), 1 + 8192 / (g.V + 1), scale_each, &g);
}
