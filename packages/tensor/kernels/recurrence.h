/* Linear recurrences over a matrix state S[dk,dv] per batch and head, in chunk form (architecture 3.5.5, 3.6):
     S_t = F_t S_{t-1} + k_t d_t^T,   o_t = S_t^T q_t
   F_t is 1, e^{g_t} for the head, or diag(e^{g_t}) over key channels, g <= 0. What is written, d_t, is w_t v_t (additive
   rule: linear attention, simple GLA, GLA) or w_t v_t - e_t (F_t S_{t-1})^T k_t (delta rule: Quasar, gated delta net, KDA).
   With R(X,Y)_ij = sum_c X_ic Y_jc e^{G_ic - G_jc}, G the running sum of g in the chunk and G_n its last row:
     Y = (K e^G) S + strict_lower(R(K,K)) D,  D = diag(w) V - diag(e) Y   by forward substitution, row by row
     O = (Q e^G) S + lower(R(Q,K)) D,  S' = e^{G_n} S + (K e^{G_n - G})^T D.
   Multiply-adds per token and head, C the chunk length and triangles counted as halves: forward 3 dk dv + C (dk + dv)
   with the delta rule, 2 dk dv + C (dk + dv) / 2 without; backward 7 dk dv + C (6 dk + 5 dv) / 2 and
   4 dk dv + C (3 dk + 2 dv) / 2. */
#ifndef RECURRENCE_H
#define RECURRENCE_H
#include "tile.h"

enum { RULE_ADD, RULE_DELTA, RULE_ERASE }; /* RULE_DELTA: erases as strongly as it writes; RULE_ERASE: e given apart */
enum { DECAY_NONE, DECAY_HEAD, DECAY_CHANNEL };

typedef struct {
  int64_t B, T, H;
  long dk, dv, chunk, chunks; /* chunks: room per sequence in `saved` */
  int rule, decay;
  const float *q, *k, *v, *write, *erase, *gate, *start, *d_out, *d_end;
  const int32_t *position;
  float *out, *end, *saved; /* saved: state at each chunk start [B,H,chunks,dk,dv] */
  float *dq, *dk_out, *dv_out, *dwrite, *derase, *dgate, *dstart;
  long parts; /* forward: value columns of one head are cut into so many parts */
  long next;  /* tokens from one chunk to the one computed after it */
} recurrence;

/* Leading dimensions are odd multiples of 16, so that rows spread over all sets of a cache. */
static inline long padded(long width) { return (width + 15) / 16 * 16 | 16; }
static inline long pad16(long n) { return (n + 15) / 16 * 16; }

static inline int64_t token_row(const recurrence *g, int64_t b, int64_t h, int64_t t) { return (b * g->T + t) * g->H + h; }

/* Copies rows [t, t + rows) of head h of x[B,T,H,width] and zero rows up to `all`; asks for the next chunk's rows. */
static inline void load_rows(const recurrence *g, const float *x, int64_t b, int64_t h, int64_t t, long rows, long all,
                             long width, float *to, long ld) {
  int64_t step = g->H * width, ahead = t + g->next >= 0 && t + g->next + rows <= g->T ? g->next * step : 0;
  const float *from = x + token_row(g, b, h, t) * width;
  for (long i = 0; i < rows; i++, from += step) {
    for (long j = 0; j < width; j += 16) __builtin_prefetch(from + ahead + j, 0, 2);
    memcpy(to + i * ld, from, width * sizeof(float));
  }
  for (long i = rows; i < all; i++) memset(to + i * ld, 0, width * sizeof(float));
}
static inline void store_rows(const recurrence *g, float *x, int64_t b, int64_t h, int64_t t, long rows, long width,
                              const float *from, long ld) {
  float *to = x + token_row(g, b, h, t) * width;
  for (long i = 0; i < rows; i++) memcpy(to + i * g->H * width, from + i * ld, width * sizeof(float));
}
/* One number per token and head of x[B,T,H]; without x, `missing`. */
static inline void load_scalars(const recurrence *g, const float *x, int64_t b, int64_t h, int64_t t, long rows, long all,
                                float missing, float *to) {
  for (long i = 0; i < all; i++) to[i] = i >= rows ? 0.0f : x ? x[token_row(g, b, h, t + i)] : missing;
}

/* A chunk ends at `chunk` rows, at the end, or where a new segment (position 0) begins. */
static inline int64_t chunk_end(const recurrence *g, int64_t b, int64_t t) {
  int64_t end = MIN(t + g->chunk, g->T);
  if (g->position)
    for (int64_t i = t + 1; i < end; i++)
      if (g->position[b * g->T + i] == 0) return i;
  return end;
}
static inline int starts_segment(const recurrence *g, int64_t b, int64_t t) {
  return g->position && g->position[b * g->T + t] == 0;
}

/* Copies a state [rows,width]; zeros when there is none. */
static inline void copy_state(long rows, long width, const float *from, long ldfrom, float *to, long ldto) {
  for (long i = 0; i < rows; i++)
    if (from) memcpy(to + i * ldto, from + i * ldfrom, width * sizeof(float));
    else memset(to + i * ldto, 0, width * sizeof(float));
}

/* Hands out 64-byte aligned pieces of scratch memory; without memory it only counts. */
typedef struct {
  float *base;
  size_t used;
} arena;
static inline float *carve(arena *at, int64_t count) {
  float *p = at->base ? at->base + at->used : NULL;
  at->used += pad16(count);
  return p;
}
#endif
