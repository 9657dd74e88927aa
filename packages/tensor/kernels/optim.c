/* Optimizer kernels and full reductions. Sums run over fixed blocks of 4096 and then over the blocks in order. */
#include "quasar.h"
#include "half.h"
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
