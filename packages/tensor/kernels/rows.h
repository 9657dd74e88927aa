/* Small pieces for kernels that gather rows of a head into scratch memory. */
#ifndef ROWS_H
#define ROWS_H
#include <string.h>

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
#endif
