/* What the passes of softmax attention share: how queries and keys are cut into tiles. Scores are held transposed, a row
   per key and a column per query, so that everything softmax does per query runs along vector lanes and no operand of a
   product needs transposing but the queries, once per tile. */
#ifndef ATTENTION_H
#define ATTENTION_H
#include "rows.h"
#include "softmax.h"

/* Masks are known per GROUP columns and GROUP keys. */
enum { COLUMNS = 64, KEYS = 64, GROUP = 16, GROUPS = COLUMNS / GROUP };

/* Scores are in units of log 2, as vexp2 takes them. */
#define LOG2_E 1.44269504089f
#define LN_2 0.69314718056f

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
  long lo[COLUMNS], hi[COLUMNS], group_lo[GROUPS], group_hi[GROUPS], lo_min, hi_max;
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
    long *lo = c.group_lo + i / GROUP;
    *lo = i % GROUP ? MIN(*lo, c.lo[i]) : c.lo[i];
    c.group_hi[i / GROUP] = c.hi[i];
    c.lo_min = i ? MIN(c.lo_min, c.lo[i]) : c.lo[i];
  }
  c.hi_max = c.hi[c.width - 1];
  return c;
}

/* Index of column i's row in [B,T,H]. */
static inline long column_row(const attention *g, const columns *c, long i) {
  long pair = c->first + i;
  return (c->b * g->T + pair / g->G) * g->H + c->head * g->G + pair % g->G;
}

/* Rows of x [B,T,H,D] -> [COLUMNS,D], padded with zeros. */
static inline void load_rows(const attention *g, const columns *c, const float *x, float *out) {
  for (long i = 0; i < c->n; i++) memcpy(out + i * g->D, x + column_row(g, c, i) * g->D, g->D * sizeof(float));
  memset(out + c->n * g->D, 0, (c->width - c->n) * g->D * sizeof(float));
}

/* Rows [COLUMNS,D] -> [D,COLUMNS], scaled. */
static inline void transpose_scaled(const attention *g, const columns *c, const float *rows, float scale, float *out) {
  transpose_small(c->width, g->D, rows, g->D, out, COLUMNS);
  for (long d = 0; d < g->D; d++)
    for (long i = 0; i < c->width; i += VW) vstore(out + d * COLUMNS + i, vmul(vload(out + d * COLUMNS + i), vset(scale)));
}

/* Memory that is wanted soon, `left` pieces of `bytes` bytes that lie `step` bytes apart: fetched a few at a time between the
   products that come before. */
typedef struct {
  const char *at;
  long left, step, bytes;
} ahead;

static inline void fetch_ahead(ahead *x, long pieces, const int write) {
  for (; pieces > 0 && x->left > 0; pieces--, x->left--, x->at += x->step)
    for (long i = 0; i < x->bytes; i += 64) {
      if (write) __builtin_prefetch(x->at + i, 1, 2);
      else __builtin_prefetch(x->at + i, 0, 2);
    }
}
/* The rows of x [B,T,H,D] that columns from `first` on stand for. */
static inline ahead query_rows(const attention *g, long b, long head, long first, const float *x) {
  long t = first / g->G, last = (MIN(first + COLUMNS, g->T * g->G) - 1) / g->G, unit = g->D * sizeof(float);
  return (ahead){(const char *)(x + ((b * g->T + t) * g->H + head * g->G) * g->D), last + 1 - t, g->H * unit, g->G * unit};
}
/* All rows of one head of x [B,room,Hk,D]. */
static inline ahead head_rows(const attention *g, long pair, const float *x) {
  long b = pair / g->Hk, head = pair % g->Hk, unit = g->D * sizeof(float);
  return (ahead){(const char *)(x + (b * g->room * g->Hk + head) * g->D), g->S, g->Hk * unit, unit};
}

/* `width` columns from `column` on, of which none sees rows of a block of keys outside [begin, end). */
typedef struct {
  long column, width, begin, end;
} span;

/* The part of the block of keys [s, s+rows) that is seen, in units of GROUP rows and columns: what lies outside is not computed.
   Returns the number of spans, ordered by column. */
static inline int take_spans(const columns *c, long s, long rows, span *spans) {
  int count = 0;
  for (long i = 0; i < c->width; i += GROUP) {
    long begin = MAX(c->group_lo[i / GROUP] - s, 0) / GROUP * GROUP, end = pad_to_16(MIN(c->group_hi[i / GROUP] + 1 - s, rows));
    if (begin >= end) continue;
    span *last = spans + count - 1;
    if (count && last->begin == begin && last->end == end && last->column + last->width == i) last->width += GROUP;
    else spans[count++] = (span){i, GROUP, begin, end};
  }
  return count;
}

/* Scores of keys [s, s+rows) that a column does not see become -Infinity. */
static inline void mask(const columns *c, long s, const span *x, float *scores) {
  for (long i = x->column; i < x->column + x->width; i++) {
    long begin = MIN(c->lo[i] - s, x->end), end = MAX(c->hi[i] + 1 - s, x->begin);
    for (long j = x->begin; j < begin; j++) scores[j * COLUMNS + i] = -Q_INF;
    for (long j = end; j < x->end; j++) scores[j * COLUMNS + i] = -Q_INF;
  }
}
#endif
