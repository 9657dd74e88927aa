/* Gradients of softmax attention: P is recomputed from the row's log-sum-exp, dS = P (dO V^T - D), D_t = o_t do_t. One
   (batch, key head) is one task: its query tiles in order add to dK and dV, so that each sum has one order. */
#include "attention.h"

/* Keys and values of one head that are worked on together, [from, from+rows) padded with zeros, and their gradients. */
typedef struct {
  long from, rows;
  float *k, *v, *dk, *dv;
} key_range;

/* Floats in an array of a key_range: four of them fit a cache of the second level. */
enum { RANGE = 32768 };

typedef struct {
  float *Q, *dO, *dQ, *QT, *dOT, *P, *dS;
} tile;

/* What the next tile and the next head read, and where the next tile writes. */
typedef struct {
  ahead q, d_out, o, dq, k, v;
} wanted;

static void fetch_wanted(wanted *x) {
  fetch_ahead(&x->q, 4, 0);
  fetch_ahead(&x->d_out, 4, 0);
  fetch_ahead(&x->o, 4, 0);
  fetch_ahead(&x->dq, 4, 1);
  fetch_ahead(&x->k, 3, 0);
  fetch_ahead(&x->v, 3, 0);
}

/* P = e^(score - lse), dS = P (dP - delta). */
static void softmax_block_backward(const span *x, const float *lse, const float *delta, float *P, float *dS) {
  for (long i = x->column; i < x->column + x->width; i += VW) {
    vf top = vload(lse + i), mean = vload(delta + i);
    for (long j = x->begin; j < x->end; j++) {
      vf p = vexp2(vsub(vload(P + j * COLUMNS + i), top));
      vstore(P + j * COLUMNS + i, p);
      vstore(dS + j * COLUMNS + i, vmul(p, vsub(vload(dS + j * COLUMNS + i), mean)));
    }
  }
}

/* Columns [*first, *last) that see some of the GROUP rows from `begin` on; those between them that do not get zeros. */
static void seen_columns(const span *spans, int count, long begin, long *first, long *last, const tile *w) {
  *first = *last = 0;
  for (int i = 0; i < count; i++) {
    const span *x = spans + i;
    if (begin < x->begin || begin >= x->end) continue;
    if (*last == 0) *first = *last = x->column;
    for (long j = begin; j < begin + GROUP && *last < x->column; j++) {
      memset(w->P + j * COLUMNS + *last, 0, (x->column - *last) * sizeof(float));
      memset(w->dS + j * COLUMNS + *last, 0, (x->column - *last) * sizeof(float));
    }
    *last = x->column + x->width;
  }
}

static void attend_backward(const attention *g, const columns *c, const key_range *r, const tile *w, wanted *next) {
  long D = g->D, past = r->from + r->rows;
  float lse[COLUMNS] = {0}, delta[COLUMNS] = {0};
  load_rows(g, c, g->q, w->Q);
  load_rows(g, c, g->d_out, w->dO);
  transpose_scaled(g, c, w->Q, g->scale * LOG2_E, w->QT);
  transpose_scaled(g, c, w->dO, 1.0f, w->dOT);
  for (long i = 0; i < c->n; i++) {
    long row = column_row(g, c, i);
    lse[i] = g->lse_in[row] * LOG2_E;
    delta[i] = dot_fixed(g->d_out + row * D, g->o + row * D, D);
  }
  if (c->lo_min >= r->from) memset(w->dQ, 0, c->width * D * sizeof(float));
  else load_rows(g, c, g->dq, w->dQ);
  for (long at = MAX(c->lo_min - r->from, 0) / KEYS * KEYS; at < r->rows && r->from + at <= c->hi_max; at += KEYS) {
    long s = r->from + at, rows = MIN(KEYS, MIN(c->hi_max + 1, past) - s);
    const float *k = r->k + at * D, *v = r->v + at * D;
    span spans[GROUPS];
    int count = take_spans(c, s, rows, spans);
    for (span *x = spans; x < spans + count; x++) {
      long seen = x->end - x->begin;
      float *p = w->P + x->begin * COLUMNS + x->column, *ds = w->dS + x->begin * COLUMNS + x->column;
      small_gemm(seen, x->width, D, k + x->begin * D, D, 1, w->QT + x->column, COLUMNS, p, COLUMNS, GEMM_SET);
      fetch_wanted(next);
      small_gemm(seen, x->width, D, v + x->begin * D, D, 1, w->dOT + x->column, COLUMNS, ds, COLUMNS, GEMM_SET);
      mask(c, s, x, w->P);
      fetch_wanted(next);
      softmax_block_backward(x, lse, delta, w->P, w->dS);
      small_gemm(x->width, D, seen, ds, 1, COLUMNS, k + x->begin * D, D, w->dQ + x->column * D, D, GEMM_ADD);
      fetch_wanted(next);
    }
    for (long begin = 0, end; begin < rows; begin = end) {
      long first, last, first2, last2;
      seen_columns(spans, count, begin, &first, &last, w);
      for (end = begin + GROUP; end < rows; end += GROUP) {
        seen_columns(spans, count, end, &first2, &last2, w);
        if (first2 != first || last2 != last) break;
      }
      long from = begin * COLUMNS + first, to = (at + begin) * D;
      small_gemm(end - begin, D, last - first, w->P + from, COLUMNS, 1, w->dO + first * D, D, r->dv + to, D, GEMM_ADD);
      fetch_wanted(next);
      small_gemm(end - begin, D, last - first, w->dS + from, COLUMNS, 1, w->Q + first * D, D, r->dk + to, D, GEMM_ADD);
      fetch_wanted(next);
    }
  }
  vf scale = vset(c->hi_max < past ? g->scale : 1.0f);
  for (long i = 0; i < c->n; i++) {
    float *dq = g->dq + column_row(g, c, i) * D;
    for (long d = 0; d < D; d += VW) vstore(dq + d, vmul(vload(w->dQ + i * D + d), scale));
  }
}

static void attend_backward_heads(void *context, long begin, long end) {
  const attention *g = context;
  long D = g->D, row = g->Hk * D, block = COLUMNS * D;
  long most = MAX(RANGE / D / KEYS, 1) * KEYS, room = MIN(most, pad_to_16(g->S)) * D;
  float *at = scratch(SCRATCH_KERNEL, (4 * room + 5 * block + 2 * KEYS * COLUMNS) * sizeof(float));
  key_range r = {.k = take(&at, room), .v = take(&at, room), .dk = take(&at, room), .dv = take(&at, room)};
  tile w = {.Q = take(&at, block), .dO = take(&at, block), .dQ = take(&at, block), .QT = take(&at, block),
            .dOT = take(&at, block), .P = take(&at, KEYS * COLUMNS), .dS = take(&at, KEYS * COLUMNS)};
  for (long item = begin; item < end; item++) {
    wanted next = {0};
    if (item + 1 < end) next.k = head_rows(g, item + 1, g->k), next.v = head_rows(g, item + 1, g->v);
    long b = item / g->Hk, first = (b * g->room * g->Hk + item % g->Hk) * D;
    for (r.from = 0; r.from < g->S; r.from += r.rows) {
      r.rows = MIN(most, g->S - r.from);
      long padded = pad_to_16(r.rows), from = first + r.from * row;
      gather(g->k + from, row, r.rows, padded, D, r.k);
      gather(g->v + from, row, r.rows, padded, D, r.v);
      memset(r.dk, 0, padded * D * sizeof(float));
      memset(r.dv, 0, padded * D * sizeof(float));
      for (long i = 0; i < g->T * g->G; i += COLUMNS) {
        columns c = take_columns(g, b, item % g->Hk, i);
        if (c.hi_max < r.from || c.lo_min >= r.from + r.rows) continue;
        int more = i + COLUMNS < g->T * g->G;
        if (more || item + 1 < end) {
          long b2 = (item + !more) / g->Hk, head = (item + !more) % g->Hk, i2 = more ? i + COLUMNS : 0;
          next.q = query_rows(g, b2, head, i2, g->q), next.d_out = query_rows(g, b2, head, i2, g->d_out);
          next.o = query_rows(g, b2, head, i2, g->o), next.dq = query_rows(g, b2, head, i2, g->dq);
        }
        attend_backward(g, &c, &r, &w, &next);
      }
      for (long x = 0; x < r.rows * D; x += VW) vstore(r.dk + x, vmul(vload(r.dk + x), vset(g->scale)));
      spread(r.dk, r.rows, D, g->dk + from, row);
      spread(r.dv, r.rows, D, g->dv + from, row);
    }
    for (long s = g->S; s < g->room; s++) {
      memset(g->dk + first + s * row, 0, D * sizeof(float));
      memset(g->dv + first + s * row, 0, D * sizeof(float));
    }
  }
}

/* p: dq dk dv q k v position? out lse dout; n: B T S room H Hk D scale */
KERNEL(attention_backward) {
  attention g = {.dq = F(0), .dk = F(1), .dv = F(2), .q = F(3), .k = F(4), .v = F(5), .position = I(6), .o = F(7),
                 .lse_in = F(8), .d_out = F(9), .B = L(0), .T = L(1), .S = L(2), .room = L(3), .H = L(4), .Hk = L(5),
                 .D = L(6), .scale = (float)a->n[7]};
  g.G = g.H / g.Hk;
  parallel_for(g.B * g.Hk, 1, attend_backward_heads, &g);
}
