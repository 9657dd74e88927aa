/* What the passes of softmax attention share: how queries and keys are cut into tiles. Scores are held transposed, a row
   per key and a column per query, so that everything softmax does per query runs along vector lanes and no operand of a
   product needs transposing but the queries, once per tile. */
#ifndef ATTENTION_H
#define ATTENTION_H
#include "rows.h"

enum { COLUMNS = 64, KEYS = 64 };

/* Keys and values sit in [B,room,Hk,D], of which S rows count; the T queries are the last T of them. */
typedef struct {
  long B, T, S, room, H, Hk, D, G; /* G = H / Hk query heads share a key head */
  float scale;
  const float *q, *k, *v, *o, *lse_in, *d_out;
  const int32_t *position;
  float *out, *lse, *dq, *dk, *dv, *parts;
} attention;

/* Up to COLUMNS (query, head) pairs of one key head; column c sees keys lo[c]..hi[c]. Columns from n up to the padded
   width repeat the range of the last and hold zeros. */
typedef struct {
  long b, head, first, n, width;
  long lo[COLUMNS], hi[COLUMNS], lo_min, lo_max, hi_min, hi_max;
} columns;

/* A token sees its segment up to itself: its position counts the keys before it there. Always at least itself. */
static inline long first_key(const attention *g, long b, long t) {
  long own = g->S - g->T + t;
  if (!g->position) return 0;
  long back = g->position[b * g->T + t];
  return back <= 0 ? own : back >= own ? 0 : own - back;
}

static inline columns take_columns(const attention *g, long b, long head, long first) {
  columns c = {.b = b, .head = head, .first = first, .n = MIN(COLUMNS, g->T * g->G - first)};
  c.width = pad_to_16(c.n);
  for (long i = 0; i < c.width; i++) {
    long t = (first + MIN(i, c.n - 1)) / g->G;
    c.lo[i] = first_key(g, b, t);
    c.hi[i] = g->S - g->T + t;
    c.lo_min = i ? MIN(c.lo_min, c.lo[i]) : c.lo[i];
    c.lo_max = i ? MAX(c.lo_max, c.lo[i]) : c.lo[i];
  }
  c.hi_min = c.hi[0];
  c.hi_max = c.hi[c.width - 1];
  return c;
}

/* Index of column i's row in [B,T,H]. */
static inline long column_row(const attention *g, const columns *c, long i) {
  long pair = c->first + i;
  return (c->b * g->T + pair / g->G) * g->H + c->head * g->G + pair % g->G;
}

/* x [B,T,H,D] -> [D,COLUMNS], scaled. */
static inline void load_transposed(const attention *g, const columns *c, const float *x, float scale, float *out) {
  for (long i = 0; i < c->width; i++) {
    const float *row = x + column_row(g, c, MIN(i, c->n - 1)) * g->D;
    float s = i < c->n ? scale : 0.0f;
    for (long d = 0; d < g->D; d++) out[d * COLUMNS + i] = i < c->n ? s * row[d] : 0.0f;
  }
}

/* Rows of keys or values from key s on: in place, or as a zero-padded copy where a multiple of 16 would pass the end. */
static inline const float *key_rows(const attention *g, const float *x, const columns *c, long s, long rows, float *copy,
                                    long *stride) {
  const float *from = x + ((c->b * g->room + s) * g->Hk + c->head) * g->D;
  *stride = g->Hk * g->D;
  if (s + pad_to_16(rows) <= g->room) return from;
  for (long i = 0; i < rows; i++) memcpy(copy + i * g->D, from + i * *stride, g->D * sizeof(float));
  memset(copy + rows * g->D, 0, (pad_to_16(rows) - rows) * g->D * sizeof(float));
  *stride = g->D;
  return copy;
}

/* Scores of keys [s, s+rows) that a column does not see become -Inf. */
static inline void mask(const columns *c, long s, long rows, float *scores) {
  if (s >= c->lo_max && s + rows - 1 <= c->hi_min) return;
  for (long i = 0; i < c->width; i++) {
    long begin = MIN(MAX(c->lo[i] - s, 0), rows), end = MIN(MAX(c->hi[i] + 1 - s, 0), rows);
    for (long j = 0; j < begin; j++) scores[j * COLUMNS + i] = -__builtin_inff();
    for (long j = end; j < rows; j++) scores[j * COLUMNS + i] = -__builtin_inff();
  }
}
#endif
