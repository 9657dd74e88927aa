/* Optimizer kernels and full reductions. Sums run over fixed blocks of 4096 and then over the blocks in order. */
#include "quasar.h"
#include "gemm.h"
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
/* m = momentum m + scale g, u[at..] = momentum m + scale g (Nesterov). p: u m grad; n: count momentum scale at */
KERNEL(momentum) {
  nesterov o = {F(0) + L(3), F(1), F(2), (float)a->n[1], (float)a->n[2]};
  parallel_for(L(0), 8192, momentum_range, &o);
}

typedef struct {
  const float *x, *gram;
  float *out;
  long n;
  float s, a, b, c;
} part;
static void scale_range(void *context, long begin, long end) {
  const part o = *(part *)context;
  for (long i = begin; i < end; i++) o.out[i] = o.x[i] * o.s;
}
/* Bands of TRANSPOSE rows of out[n,n], which is given on and below the diagonal: it becomes a I + b gram + c out where there is
   a gram, and whole. */
static void symmetric_bands(void *context, long begin, long end) {
  const part o = *(part *)context;
  long n = o.n;
  for (long i = begin * TRANSPOSE; i < MIN(n, end * TRANSPOSE); i += TRANSPOSE) {
    long rows = MIN(TRANSPOSE, n - i);
    const float *band[TRANSPOSE];
    for (long r = 0; r < rows; r++) {
      float *out = o.out + (i + r) * n;
      const float *gram = o.gram + (i + r) * n;
      band[r] = out;
      if (!o.gram) continue;
      for (long j = 0; j <= i + r; j++) out[j] = q_fma(o.c, out[j], o.b * gram[j]);
      out[i + r] += o.a;
    }
    if (rows == TRANSPOSE)
      for (long j = 0; j < i; j += TRANSPOSE) transpose_square(band, j, o.out + j * n + i, n);
    for (long r = 0; r < rows; r++)
      for (long j = rows == TRANSPOSE ? i : 0; j < i + r; j++) o.out[j * n + i + r] = band[r][j];
  }
}

typedef struct {
  float *x, *work;
  long R, C, steps;
  float a, b, c;
  int shared; /* all threads work on one matrix, or each on its own */
} quintic;

static void product(const quintic *o, long M, long N, long K, const float *A, long rowA, long colA, const float *B, long rowB,
                    long colB, float *C, int mode) {
  (o->shared ? gemm_parallel : gemm_serial)(M, N, K, A, rowA, colA, B, rowB, colB, C, N, mode);
}

static void swap(float **x, float **y) {
  float *z = *x;
  *x = *y, *y = z;
}
/* out = A B of symmetric [n,n] that commute: on and below the diagonal, then whole; a I + b gram + c A B where there is a gram. */
static void symmetric_product(const quintic *o, long n, const float *A, const float *B, float *out, const float *gram) {
  part bands = {.out = out, .gram = gram, .n = n, .a = o->a, .b = o->b, .c = o->c};
  product(o, n, n, n, A, 1, n, B, n, 1, out, GEMM_LOWER);
  parallel_for((n + TRANSPOSE - 1) / TRANSPOSE, 8, symmetric_bands, &bands);
}

/* One matrix. All its steps are polynomials of the first gram matrix G, which commute: with q = a I + b G + c G^2 the next one
   is q G q, and X goes through the product of all q at the end, in small matrices until then. */
static void orthogonalize_one(const quintic *o, long index) {
  long R = o->R, C = o->C, n = MIN(R, C), size = R * C;
  float *x = o->x + index * size, *unit = o->work + index * (size + 4 * n * n), *gram = unit + size, *q = gram + n * n;
  float *all = q + n * n, *spare = all + n * n;
  part scale = {.x = x, .out = unit, .s = 1.0f / (__builtin_sqrtf((float)reduce(x, x, size)) + 1e-7f)};
  parallel_for(size, 8192, scale_range, &scale);
  if (o->steps == 0) memcpy(x, unit, size * sizeof(float));
  if (o->steps == 0) return;
  part whole = {.out = gram, .n = n};
  if (R <= C) product(o, R, R, C, unit, C, 1, unit, 1, C, gram, GEMM_LOWER);
  else product(o, C, C, R, unit, 1, C, unit, C, 1, gram, GEMM_LOWER);
  parallel_for((n + TRANSPOSE - 1) / TRANSPOSE, 8, symmetric_bands, &whole);
  for (long step = 0; step < o->steps; step++) {
    symmetric_product(o, n, gram, gram, q, gram);
    if (step + 1 < o->steps) {
      symmetric_product(o, n, q, gram, spare, NULL);
      symmetric_product(o, n, q, spare, gram, NULL);
    }
    if (step == 0) swap(&all, &q);
    else {
      symmetric_product(o, n, q, all, spare, NULL);
      swap(&all, &spare);
    }
  }
  if (R <= C) product(o, R, C, R, all, 1, R, unit, C, 1, x, GEMM_SET);
  else product(o, R, C, C, unit, C, 1, all, C, 1, x, GEMM_SET);
}
static void orthogonalize_range(void *context, long begin, long end) {
  for (long i = begin; i < end; i++) orthogonalize_one(context, i);
}
/* Each of `batch` matrices X, in place: X over its Frobenius norm + 1e-7, then `steps` times X <- a X + b G X + c G^2 X with
   G = X X^T, or the same from the right with G = X^T X where that is smaller.
   p: x[batch,R,C] work[batch, R C + 4 min(R,C)^2]; n: batch R C steps a b c */
KERNEL(orthogonalize) {
  quintic o = {.x = F(0), .work = F(1), .R = L(1), .C = L(2), .steps = L(3), .a = (float)a->n[4], .b = (float)a->n[5],
               .c = (float)a->n[6]};
  long batch = L(0), even = batch - batch % pool_threads();
  if (o.R <= 0 || o.C <= 0) return;
  parallel_for(even, 1, orthogonalize_range, &o);
  o.shared = 1;
  orthogonalize_range(&o, even, batch);
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
