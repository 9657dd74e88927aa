/* The backward pass of y = silu(gate) up, row by row. */
#ifndef SWIGLU_H
#define SWIGLU_H
#include "scalar.h"

static inline void swiglu_slopes(long n, const float *restrict gate, const float *restrict up, const float *restrict dy,
                                 float *restrict dgate, float *restrict dup) {
  for (long j = 0; j < n; j++) {
    float s = q_sigmoid(gate[j]);
    dgate[j] = dy[j] * up[j] * (s * q_fma(gate[j], 1.0f - s, 1.0f));
    dup[j] = dy[j] * (gate[j] * s);
  }
}

/* Pieces of a size that the compiler knows stay in registers. */
static inline __attribute__((always_inline)) void swiglu_piece(long n, const float *gate, const float *up, const float *dy,
                                                               float *dgate, float *dup) {
  float a[32], b[32];
  swiglu_slopes(n, gate, up, dy, a, b);
  memcpy(dgate, a, n * sizeof(float));
  memcpy(dup, b, n * sizeof(float));
}

/* dgate may be gate, and dup may be up. */
static inline void swiglu_backward_row(long n, const float *gate, const float *up, const float *dy, float *dgate, float *dup) {
  long j = 0;
  for (; j + 32 <= n; j += 32) swiglu_piece(32, gate + j, up + j, dy + j, dgate + j, dup + j);
  if (j < n) swiglu_piece(n - j, gate + j, up + j, dy + j, dgate + j, dup + j);
}
#endif
