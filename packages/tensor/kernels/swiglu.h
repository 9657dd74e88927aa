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

/* dgate may be gate, and dup may be up. */
static inline void swiglu_backward_row(long n, const float *gate, const float *up, const float *dy, float *dgate, float *dup) {
  enum { PIECE = 64 };
  float a[PIECE], b[PIECE];
  for (long j = 0; j < n; j += PIECE) {
    long count = n - j < PIECE ? n - j : PIECE;
    swiglu_slopes(count, gate + j, up + j, dy + j, a, b);
    memcpy(dgate + j, a, count * sizeof(float));
    memcpy(dup + j, b, count * sizeof(float));
  }
}
#endif
