/* KL between the whole distributions of a teacher and a student, either way round, with its gradient (architecture 6.1).
   One reading of both rows of logits leaves what the gradient needs in the gradient's row and in one row of scratch, so that
   no exponential is computed twice and memory is touched once. */
#include "divergence.h"

typedef struct {
  const float *student, *teacher, *weight;
  float *loss, *gradient;
  int64_t V;
  int direction;
  float temperature;
} divergence;

/* Entries [at, end) of both rows. `kept` gets e^x of the student; `other` e^x of the teacher (forward) or the difference
   (reverse). Returns 0 with new refs where a row rises too far above the one it has. */
static inline __attribute__((always_inline)) int read_block(const int direction, const int keep, float temperature, pair *all,
                                                            const float *first, const float *second, int64_t at, int64_t end,
                                                            float *kept, float *other) {
  float inverse = 1.0f / temperature, edges[4][LANES], top[2], shift = all->ref[1] - all->ref[0];
  vf most[2][ROW_VECTORS], sum[2][ROW_VECTORS], distance[ROW_VECTORS];
  vf scale = vset(inverse), ref[2] = {vset(-all->ref[0] * inverse), vset(-all->ref[1] * inverse)};
  for (int c = 0; c < ROW_VECTORS; c++)
    for (int w = 0; w < 2; w++) most[w][c] = vset(-Q_INF), sum[w][c] = distance[c] = vset(0.0f);
  for (int64_t i = at; i < end; i += LANES) {
    int whole = i + LANES <= end;
    const float *x = lanes_at(first, i, end, edges[0]), *y = lanes_at(second, i, end, edges[1]);
    float *to = keep && whole ? kept + i : edges[2], *to2 = keep && whole ? other + i : edges[3];
    for (int c = 0; c < ROW_VECTORS; c++) {
      vf a = vload(x + c * VW), b = vload(y + c * VW);
      most[0][c] = vmax(a, most[0][c]);
      most[1][c] = vmax(b, most[1][c]);
      vf ea = vexp(vfma(a, scale, ref[0])), eb = vexp(vfma(b, scale, ref[1]));
      /* an entry that both rule out counts nothing */
      vf d = vmax(vadd(vfma(b, vset(-1.0f), a), vset(shift)), vset(-1e30f));
      sum[0][c] = vadd(sum[0][c], ea);
      sum[1][c] = vadd(sum[1][c], eb);
      distance[c] = vfma(ea, d, distance[c]);
      if (!keep) continue;
      vstore(to + c * VW, direction == FORWARD_KL ? eb : ea);
      vstore(to2 + c * VW, direction == FORWARD_KL ? ea : d);
    }
    if (keep && !whole) {
      memcpy(kept + i, edges[2], (end - i) * sizeof(float));
      memcpy(other + i, edges[3], (end - i) * sizeof(float));
    }
  }
  int fits = 1;
  for (int w = 0; w < 2; w++) {
    top[w] = vectors_max(most[w]);
    if (!(top[w] > all->ref[w] + RISE * temperature)) continue;
    pair_raise(all, w, top[w], inverse);
    fits = 0;
  }
  if (!fits) return 0;
  for (int w = 0; w < 2; w++) all->sum[w] += vectors_sum(sum[w]);
  all->distance += vectors_sum(distance);
  return 1;
}
#define READ(direction, keep) read_block(direction, keep, g->temperature, all, first, second, at, end, kept, other)
static int block(const divergence *g, pair *all, const float *first, const float *second, int64_t at, int64_t end,
                 float *kept, float *other) {
  if (!kept) return READ(FORWARD_KL, 0);
  return g->direction == FORWARD_KL ? READ(FORWARD_KL, 1) : READ(REVERSE_KL, 1);
}

static void gradient_block(const divergence *g, const pair *all, const pair *then, float weight, int64_t n, float *kept,
                           const float *other) {
  int forward = g->direction == FORWARD_KL, student = forward ? 1 : 0;
  float inverse = 1.0f / g->temperature, scale[2];
  for (int w = 0; w < 2; w++) scale[w] = weight * q_exp((then->ref[w] - all->ref[w]) * inverse) / all->sum[w];
  vf q = vset(scale[student] * (forward ? g->temperature : 1.0f)), p = vset(-scale[0] * g->temperature);
  vf mean = vset((then->ref[0] - then->ref[1]) - (all->ref[0] - all->ref[1]) - all->distance / all->sum[0]);
  for (int64_t i = 0; i < n; i += VW) {
    float edges[2][VW], *to = kept + i;
    const float *from = other + i;
    if (i + VW > n) {
      memcpy(edges[0], to, (n - i) * sizeof(float));
      memcpy(edges[1], from, (n - i) * sizeof(float));
      memset(edges[0] + (n - i), 0, (VW - (n - i)) * sizeof(float));
      memset(edges[1] + (n - i), 0, (VW - (n - i)) * sizeof(float));
      to = edges[0], from = edges[1];
    }
    vf k = vmul(vload(to), q), o = vload(from);
    vstore(to, forward ? vfma(o, p, k) : vmul(k, vadd(o, mean)));
    if (i + VW > n) memcpy(kept + i, edges[0], (n - i) * sizeof(float));
  }
}

static void divergence_rows(void *context, long b, long e) {
  divergence *g = context;
  int64_t V = g->V, blocks = (V + SOFTMAX_BLOCK - 1) / SOFTMAX_BLOCK;
  float *other = scratch(SCRATCH_KERNEL, V * sizeof(float) + blocks * sizeof(pair));
  pair *refs = (pair *)(other + V);
  for (int64_t i = b; i < e; i++) {
    const float *student = g->student + i * V, *teacher = g->teacher + i * V;
    const float *first = g->direction == FORWARD_KL ? teacher : student, *second = g->direction == FORWARD_KL ? student : teacher;
    float *gradient = g->gradient ? g->gradient + i * V : NULL, weight = g->weight ? g->weight[i] : 1.0f;
    float temperature = g->temperature;
    if (weight == 0.0f) {
      g->loss[i] = 0.0f;
      if (gradient) memset(gradient, 0, V * sizeof(float));
      continue;
    }
    int64_t start = MIN(V, SOFTMAX_BLOCK);
    pair all = {{MAX(row_max(first, start), LOWEST), MAX(row_max(second, start), LOWEST)}, {0.0f, 0.0f}, 0.0f};
    for (int64_t at = 0, n = 0; at < V; n++, at += SOFTMAX_BLOCK) {
      while (!block(g, &all, first, second, at, MIN(V, at + SOFTMAX_BLOCK), gradient, other)) continue;
      refs[n] = all;
    }
    g->loss[i] = weight * temperature * temperature * pair_kl(&all, 1.0f / temperature);
    if (!gradient) continue;
    for (int64_t at = 0, n = 0; at < V; n++, at += SOFTMAX_BLOCK)
      gradient_block(g, &all, &refs[n], weight, MIN(V - at, SOFTMAX_BLOCK), gradient + at, other + at);
  }
}
/* Forward: loss_i = w_i t^2 sum_v p_v (log p_v - log q_v), dlogits = w_i t (q - p), where p = softmax(teacher / t) and
   q = softmax(logits / t). Reverse: loss_i = w_i t^2 sum_v q_v (log q_v - log p_v), dlogits = w_i t q_v (log q_v - log p_v - KL).
   Without weights every w_i is 1; a row of weight 0 is not looked at.
   p: loss[M] dlogits[M,V]|NULL logits[M,V] teacher[M,V] weights[M]|NULL; n: M V direction (0 forward, 1 reverse) t */
KERNEL(divergence) {
  divergence g = {.loss = F(0), .gradient = F(1), .student = F(2), .teacher = F(3), .weight = F(4), .V = L(1),
                  .direction = (int)a->n[2], .temperature = (float)a->n[3]};
  parallel_for(L(0), 1 + 2048 / (g.V + 1), divergence_rows, &g);
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
