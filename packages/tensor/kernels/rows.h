/* Small pieces for kernels that gather rows of a head into scratch memory. */
#ifndef ROWS_H
#define ROWS_H
#include "gemm.h"
#include "scalar.h"

static inline long pad_to_16(long n) { return (n + 15) / 16 * 16; }

/* The next `count` floats of a scratch block, 64-byte aligned. */
static inline float *take(float **at, long count) {
  float *p = *at;
  *at += pad_to_16(count);
  return p;
}

/* Row i of `rows` sits at x + i*stride; zero rows follow up to `padded`. */
static inline void gather(const float *x, long stride, long rows, long padded, long width, float *out) {
  for (long i = 0; i < rows; i++) memcpy(out + i * width, x + i * stride, width * sizeof(float));
  memset(out + rows * width, 0, (padded - rows) * width * sizeof(float));
}
static inline void spread(const float *from, long rows, long width, float *x, long stride) {
  for (long i = 0; i < rows; i++) memcpy(x + i * stride, from + i * width, width * sizeof(float));
}

/* out[i] = lane_sum of row i of x [LANES, LANES]: the same tree for all rows at once. */
static inline void lane_sums(const float *x, float *out) {
  float t[LANES * LANES];
  transpose_small(LANES, LANES, x, LANES, t, LANES);
  for (int half = 8; half >= 4; half /= 2)
    for (int i = 0; i < half * LANES; i++) t[i] += t[half * LANES + i];
  for (int i = 0; i < LANES; i++) out[i] = (t[i] + t[2 * LANES + i]) + (t[LANES + i] + t[3 * LANES + i]);
}

/* x becomes e^(x - top); returns the sum. The largest x is left in *top. */
static inline float exp_row(float *x, long n, float *top) {
  long whole = n - n % LANES;
  float most[LANES], sum[LANES] = {0}, m = x[0];
  for (int l = 0; l < LANES; l++) most[l] = m;
  for (long i = 0; i < whole; i += LANES)
    for (int l = 0; l < LANES; l++) most[l] = x[i + l] > most[l] ? x[i + l] : most[l];
  for (long i = whole; i < n; i++) m = x[i] > m ? x[i] : m;
  for (int l = 0; l < LANES; l++) m = most[l] > m ? most[l] : m;
  for (long i = 0; i < n; i++) x[i] = q_exp(x[i] - m);
  for (long i = 0; i < whole; i += LANES)
    for (int l = 0; l < LANES; l++) sum[l] += x[i + l];
  for (long i = whole; i < n; i++) sum[i - whole] += x[i];
  *top = m;
  return lane_sum(sum);
}
static inline void softmax_row(float *x, long n) {
  float top, inverse = 1.0f / exp_row(x, n, &top);
  for (long i = 0; i < n; i++) x[i] *= inverse;
}
#endif
