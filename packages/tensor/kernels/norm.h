/* RMSNorm of single rows, for the kernels that normalise. */
#ifndef NORM_H
#define NORM_H
#include "quasar.h"
#include "simd.h"

/* Weight gradients are summed over blocks of NORM_BLOCK rows, then over the blocks in order. */
enum { NORM_BLOCK = 64 };

static inline float inverse_root(const float *x, long N, float eps) {
  return 1.0f / __builtin_sqrtf(dot_fixed(x, x, N) / (float)N + eps);
}
/* Rows of N floats that are worth a range of their own. */
static inline long norm_grain(long N) { return 1 + 4096 / (N + 1); }

/* dx of y = x r (w + offset), or dx plus that; `sum` grows by the gradient of w. t: room for N floats. */
static inline void rms_backward_row(long N, float eps, float offset, int adds, const float *restrict x, const float *restrict w,
                                    const float *restrict dy, float *restrict dx, float *restrict sum, float *restrict t) {
  float r = inverse_root(x, N, eps);
  for (long j = 0; j < N; j++) {
    t[j] = dy[j] * (w[j] + offset);
    sum[j] = q_fma(dy[j] * r, x[j], sum[j]);
  }
  float c = r * r * r * dot_fixed(t, x, N) / (float)N;
  if (adds)
    for (long j = 0; j < N; j++) dx[j] += q_fma(t[j], r, -c * x[j]);
  else
    for (long j = 0; j < N; j++) dx[j] = q_fma(t[j], r, -c * x[j]);
}

typedef struct {
  const float *sums; /* one row per block */
  float *out;
  long M, N;
} block_sums;

static void add_block_columns(void *context, long b, long e) {
  const block_sums *g = context;
  memset(g->out + b, 0, (e - b) * sizeof(float));
  for (long i = 0; i * NORM_BLOCK < g->M; i++)
    for (long j = b; j < e; j++) g->out[j] += g->sums[i * g->N + j];
}
/* out[N]: the sums of all blocks of M rows. */
static inline void add_blocks(const float *sums, long M, long N, float *out) {
  block_sums g = {sums, out, M, N};
  parallel_for(N, 1 + 262144 / (M + 1), add_block_columns, &g);
}
#endif
