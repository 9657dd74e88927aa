/* What the chunked recurrences share: how one (batch, head) sequence is cut into chunks and its rows are gathered. */
#ifndef LINEAR_ATTENTION_H
#define LINEAR_ATTENTION_H
#include "gemm.h"

enum { CHUNK = 64 };

typedef struct {
  long B, T, H, dk, dv, chunks; /* chunks: room per sequence in `saved` */
  const float *q, *k, *v, *gate, *start, *d_out, *d_end;
  const int32_t *position;
  float *out, *end, *saved;                    /* saved: state at each chunk start [B,H,chunks,dk,dv] */
  float *dq, *dk_out, *dv_out, *dgate, *dstart;
} recurrence;

/* Copies `rows` rows of head h from [B,T,H,width], pads with zero rows up to `padded`. */
static inline void load_rows(const float *x, const recurrence *g, long b, long h, long t, long rows, long padded,
                             long width, float *out) {
  for (long i = 0; i < rows; i++) memcpy(out + i * width, x + ((b * g->T + t + i) * g->H + h) * width, width * sizeof(float));
  memset(out + rows * width, 0, (padded - rows) * width * sizeof(float));
}
static inline void store_rows(float *x, const recurrence *g, long b, long h, long t, long rows, long width, const float *from) {
  for (long i = 0; i < rows; i++) memcpy(x + ((b * g->T + t + i) * g->H + h) * width, from + i * width, width * sizeof(float));
}

/* A chunk ends at CHUNK rows, at the end, or where a new segment (position 0) begins. */
static inline long chunk_end(const recurrence *g, long b, long t) {
  long end = MIN(t + CHUNK, g->T);
  if (g->position)
    for (long i = t + 1; i < end; i++)
      if (g->position[b * g->T + i] == 0) return i;
  return end;
}
static inline int chunk_resets(const recurrence *g, long b, long t) { return g->position && g->position[b * g->T + t] == 0; }
static inline long pad16(long n) { return (n + 15) / 16 * 16; }

/* The next `count` floats of a scratch block, 64-byte aligned. */
static inline float *carve(float **at, long count) {
  float *p = *at;
  *at += pad16(count);
  return p;
}

/* Zeroes the strict upper triangle and, with `strict`, the diagonal too. */
static inline void lower_triangle(float *x, long n, long ld, int strict) {
  for (long i = 0; i < n; i++)
    for (long j = i + (strict ? 0 : 1); j < n; j++) x[i * ld + j] = 0.0f;
}
#endif
