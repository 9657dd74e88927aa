/* Optimizer kernels and full reductions. Sums run over fixed blocks of 4096 and then over the blocks in order. */
#include "quasar.h"
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
  float lr, b1, b2, eps, decay, c1, c2, scale;
} adam;
static void adam_range(void *context, long b, long e) {
  const adam o = *(adam *)context;
  for (long i = b; i < e; i++) {
    float g = o.g[i] * o.scale;
    float m = q_fma(o.b1, o.m[i], (1.0f - o.b1) * g), v = q_fma(o.b2, o.v[i], (1.0f - o.b2) * g * g);
    o.m[i] = m;
    o.v[i] = v;
    float step = m * o.c1 / (__builtin_sqrtf(v * o.c2) + o.eps);
    o.p[i] -= o.lr * q_fma(o.decay, o.p[i], step);
  }
}
/* AdamW (Loshchilov and Hutter 2019). c1, c2 = 1/(1-b1^t), 1/(1-b2^t); scale multiplies the gradient (clipping).
   p: param m v grad; n: count lr b1 b2 eps decay c1 c2 scale */
KERNEL(adamw) {
  adam o = {F(0), F(1), F(2), F(3), (float)a->n[1], (float)a->n[2], (float)a->n[3], (float)a->n[4],
            (float)a->n[5], (float)a->n[6], (float)a->n[7], (float)a->n[8]};
  parallel_for(L(0), 8192, adam_range, &o);
}
