/* Optimizer kernels and full reductions. Sums run over fixed blocks of 4096 and then over the blocks in order. */
#include "quasar.h"
#include "half.h"
#include "scalar.h"
#include "simd.h"

enum { BLOCK = 4096 };
typedef struct {
  const float *x, *y;
  double *partial;
  long count;
} reduction;
static void reduce_blocks(void *context, long b, long e) {
  reduction *r = context;
  for (long i = b; i < e; i++)
    r->partial[i] = dot_fixed(r->x + i * BLOCK, r->y + i * BLOCK, MIN(BLOCK, r->count - i * BLOCK));
}
static double reduce(const float *x, const float *y, long count) {
  long blocks = (count + BLOCK - 1) / BLOCK;
  double *partial = scratch(SCRATCH_KERNEL, blocks * sizeof(double)), total = 0.0;
  reduction r = {x, y, partial, count};
  parallel_for(blocks, 4, reduce_blocks, &r);
  for (long i = 0; i < blocks; i++) total += partial[i];
  return total;
}
/* out[0] += sum x^2. p: out[1] x; n: count */
KERNEL(sum_squares) { F(0)[0] += (float)reduce(F(1), F(1), L(0)); }
/* out[0] = scale * sum x y. p: out[1] x y; n: count scale */
KERNEL(dot) { F(0)[0] = (float)(a->n[1] * reduce(F(1), F(2), L(0))); }

typedef struct {
  float *p, *m, *v;
  const float *g;
  uint16_t *rounded;
  int type;
  float lr, b1, b2, new1, new2, eps, decay, c1, c2, scale;
} adam;
static inline void adam_step(const adam *o, float *restrict p, float *restrict m, float *restrict v, const float *restrict g, long n) {
  const adam c = *o;
  for (long i = 0; i < n; i++) {
    float x = g[i] * c.scale;
    m[i] = q_fma(c.b1, m[i], c.new1 * x);
    v[i] = q_fma(c.b2, v[i], c.new2 * x * x);
    p[i] -= c.lr * q_fma(c.decay, p[i], m[i] * c.c1 / (__builtin_sqrtf(v[i] * c.c2) + c.eps));
  }
}
static void adam_range(void *context, long b, long e) {
  const adam *o = context;
  long block = o->rounded ? 1024 : e - b; /* rounded while the block is in cache */
  for (long i = b; i < e; i += block) {
    long n = MIN(block, e - i);
    adam_step(o, o->p + i, o->m + i, o->v + i, o->g + i, n);
    if (o->rounded) q_store(o->p + i, o->type, n, o->rounded + i);
  }
}
/* AdamW (Loshchilov and Hutter 2019). c1, c2 = 1/(1-b1^t), 1/(1-b2^t); scale multiplies the gradient (clipping). A param
   of type bf16 or f16 is the master rounded; the master alone is updated. Gradient and moments are float.
   p: param m v grad master?; n: count lr b1 b2 eps decay c1 c2 scale type */
KERNEL(adamw) {
  const double *n = a->n;
  adam o = {.p = L(9) == TYPE_F32 ? F(0) : F(4), .m = F(1), .v = F(2), .g = F(3), .rounded = L(9) == TYPE_F32 ? NULL : a->p[0],
            .type = (int)n[9], .lr = (float)n[1], .b1 = (float)n[2], .b2 = (float)n[3], .new1 = (float)(1.0 - n[2]),
            .new2 = (float)(1.0 - n[3]), .eps = (float)n[4], .decay = (float)n[5], .c1 = (float)n[6], .c2 = (float)n[7],
            .scale = (float)n[8]};
  parallel_for(L(0), 8192, adam_range, &o);
}

typedef struct {
  float *u, *m;
  const float *g;
  float momentum, scale;
} nesterov;
static void momentum_range(void *context, long b, long e) {
  const nesterov o = *(nesterov *)context;
  for (long i = b; i < e; i++) {
    float g = o.scale * o.g[i];
    o.m[i] = q_fma(o.momentum, o.m[i], g);
    o.u[i] = q_fma(o.momentum, o.m[i], g);
  }
}
/* m = momentum m + scale g, u = momentum m + scale g (Nesterov). p: u m grad; n: count momentum scale */
KERNEL(momentum) {
  nesterov o = {F(0), F(1), F(2), (float)a->n[1], (float)a->n[2]};
  parallel_for(L(0), 8192, momentum_range, &o);
}

typedef struct {
  float *x;
  float factor;
} scaling;
static void scale_range(void *context, long b, long e) {
  scaling *s = context;
  for (long i = b; i < e; i++) s->x[i] *= s->factor;
}
/* Each of `batch` matrices over its Frobenius norm + 1e-7, in place. p: x; n: batch size */
KERNEL(unit_frobenius) {
  for (long i = 0, size = L(1); i < L(0); i++) {
    float *x = F(0) + i * size;
    scaling s = {x, 1.0f / (__builtin_sqrtf((float)reduce(x, x, size)) + 1e-7f)};
    parallel_for(size, 8192, scale_range, &s);
  }
}

typedef struct {
  float *out;
  const float *A, *A2;
  long n;
  float a, b, c;
} polynomial;
static void polynomial_rows(void *context, long begin, long end) {
  const polynomial o = *(polynomial *)context;
  for (long i = begin; i < end; i++) {
    const float *A = o.A + i * o.n, *A2 = o.A2 + i * o.n;
    float *out = o.out + i * o.n;
    for (long j = 0; j < o.n; j++) out[j] = q_fma(o.c, A2[j], o.b * A[j]);
    out[i % o.n] += o.a;
  }
}
/* out = a I + b A + c A2, all [batch,N,N]. p: out A A2; n: batch N a b c */
KERNEL(matrix_polynomial) {
  polynomial o = {F(0), F(1), F(2), L(1), (float)a->n[2], (float)a->n[3], (float)a->n[4]};
  parallel_for(L(0) * o.n, 1 + 8192 / (o.n + 1), polynomial_rows, &o);
}

typedef struct {
  adam o;
  const int32_t *ids, *order;
  long M, D;
} sparse;
/* Items are assignments sorted by row: who holds the first of a row sums its gradients in order and updates it. */
static void sparse_rows(void *context, long b, long e) {
  sparse *s = context;
  long D = s->D;
  float *sum = scratch(SCRATCH_PACK_B, D * sizeof(float));
  for (long i = b; i < e; i++) {
    int64_t row = s->ids[s->order[i]], at = row * D;
    if (i > 0 && s->ids[s->order[i - 1]] == row) continue;
    memcpy(sum, s->o.g + (int64_t)s->order[i] * D, D * sizeof(float));
    for (long j = i + 1; j < s->M && s->ids[s->order[j]] == row; j++) {
      const float *g = s->o.g + (int64_t)s->order[j] * D;
      for (long d = 0; d < D; d++) sum[d] += g[d];
    }
    adam_step(&s->o, s->o.p + at, s->o.m + at, s->o.v + at, sum, D);
  }
}
/* Adam on the rows of a table that a batch touched; gradients of a row that comes several times add up in the order of the
   batch. Other rows keep weight and moments. p: table[V,D] m v grad[M,D] ids[M]; n: M D V lr b1 b2 eps c1 c2 scale */
KERNEL(sparse_adam) {
  enum { BITS = 11, BUCKETS = 1 << BITS };
  const double *n = a->n;
  long M = L(0), D = L(1), V = L(2);
  const int32_t *ids = I(4);
  int32_t *order = scratch(SCRATCH_KERNEL, (2 * (size_t)M + BUCKETS) * sizeof *order), *next = order + M, *count = next + M;
  for (long i = 0; i < M; i++) order[i] = (int32_t)i;
  for (int shift = 0; shift < 31 && (V - 1) >> shift > 0; shift += BITS) { /* stable radix sort by row */
    memset(count, 0, BUCKETS * sizeof *count);
    for (long i = 0; i < M; i++) count[ids[i] >> shift & (BUCKETS - 1)]++;
    for (int32_t k = 0, at = 0; k < BUCKETS; k++) {
      int32_t here = count[k];
      count[k] = at;
      at += here;
    }
    for (long i = 0; i < M; i++) next[count[ids[order[i]] >> shift & (BUCKETS - 1)]++] = order[i];
    int32_t *sorted = next;
    next = order;
    order = sorted;
  }
  sparse s = {.ids = ids, .order = order, .M = M, .D = D,
              .o = {.p = F(0), .m = F(1), .v = F(2), .g = F(3), .lr = (float)n[3], .b1 = (float)n[4], .b2 = (float)n[5],
                    .new1 = (float)(1.0 - n[4]), .new2 = (float)(1.0 - n[5]), .eps = (float)n[6], .c1 = (float)n[7],
                    .c2 = (float)n[8], .scale = (float)n[9]}};
  parallel_for(M, 1 + 1024 / (D + 1), sparse_rows, &s);
}

/* SMEBU (architecture 3.9.3), the expert bias of one layer: loads below the mean raise an expert, loads above lower it. The
   counts of all loops of the layer add up. Sums are double.
   p: bias[layers,E] momentum[layers,E] worst[layers] counts[E] of each loop; n: layer E loops lambda kappa beta */
KERNEL(smebu) {
  long layer = L(0), E = L(1), loops = L(2);
  double lambda = a->n[3], kappa = a->n[4], beta = a->n[5], mean = 0.0, step = 0.0, centre = 0.0, least = 0.0;
  float *bias = F(0) + layer * E, *m = F(1) + layer * E, *worst = F(2) + layer;
  double *delta = scratch(SCRATCH_KERNEL, (E + 1) * sizeof(double));
  for (long e = 0; e < E; e++) {
    delta[e] = 0.0;
    for (long l = 0; l < loops; l++) delta[e] += F(3 + l)[e];
    mean += delta[e];
  }
  mean /= (double)E;
  for (long e = 0; e < E; e++) {
    double v = (mean - delta[e]) / (mean + 1e-6);
    least = MIN(least, v);
    delta[e] = lambda * (double)q_tanh((float)(kappa * v));
    step += delta[e];
  }
  for (long e = 0; e < E; e++) {
    m[e] = (float)(beta * m[e] + (1.0 - beta) * (delta[e] - step / (double)E));
    float b = bias[e] + m[e];
    bias[e] = b - b == 0.0f ? MIN(MAX(b, -10.0f), 10.0f) : 0.0f; /* not a number heals */
    centre += bias[e];
  }
  for (long e = 0; e < E; e++) bias[e] -= (float)(centre / (double)E);
  worst[0] = (float)(0.99 * worst[0] - 0.01 * least);
}
