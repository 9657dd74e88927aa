/* What this machine can do at most, measured with the same threads and vectors that the kernels use: fused multiply-adds in
   registers, reading memory, copying memory. Not kernels: they compute nothing. */
#include "quasar.h"
#include "simd.h"

enum { CHAINS = 12, ROUNDS = 4096, BLOCK = 1 << 18 };

typedef struct {
  float *x, *y;
} probe;

static volatile float sink;

static void fma_items(void *context, long b, long e) {
  (void)context;
  vf s[CHAINS], x = vset(0.999f), y = vset(0.001f);
#pragma GCC unroll 12
  for (int i = 0; i < CHAINS; i++) s[i] = vset((float)i);
  for (long r = 0; r < (e - b) * ROUNDS; r++)
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) s[i] = vfma(s[i], x, y);
  float last[VW];
  for (int i = 0; i < CHAINS; i++) vstore(last, s[i]), sink = last[0];
}

static void read_blocks(void *context, long b, long e) {
  const float *x = ((probe *)context)->x;
  vf s[8], one = vset(1.0f);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) s[i] = vset(0.0f);
  for (long at = b * BLOCK; at < e * BLOCK; at += 8 * VW)
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) s[i] = vfma(vload(x + at + i * VW), one, s[i]);
  float last[VW];
  for (int i = 0; i < 8; i++) vstore(last, s[i]), sink = last[0];
}

static void copy_blocks(void *context, long b, long e) {
  probe *p = context;
  memcpy(p->y + b * BLOCK, p->x + b * BLOCK, (size_t)(e - b) * BLOCK * sizeof(float));
}

/* kind 0: `count` items of multiply-adds, returns operations; 1: reads `count` blocks of 1 MiB from x; 2: copies `count` blocks
   from x to y; both return the bytes that go over the bus. */
double Q_JOIN(peak, Q_ISA)(int kind, float *x, float *y, long count) {
  probe p = {x, y};
  parallel_for(count, 1, kind == 0 ? fma_items : kind == 1 ? read_blocks : copy_blocks, &p);
  return kind == 0 ? 2.0 * CHAINS * VW * ROUNDS * (double)count : (kind == 1 ? 1.0 : 2.0) * BLOCK * sizeof(float) * (double)count;
}
