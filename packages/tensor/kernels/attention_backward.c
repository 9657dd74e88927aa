/* Gradients of softmax attention: P is recomputed from the row's log-sum-exp, dS = P (dO V^T - D), D_t = o_t do_t. One
   (batch, key head) is one task: its query tiles in order add to dK and dV, so that each sum has one order. */
#include "attention.h"

typedef struct {
  float *QT, *dOT, *Q, *dO, *dQ, *P, *dS, *k, *v, *dk, *dv;
} tile;

static void load_rows_padded(const attention *g, const columns *c, const float *x, float scale, float *out) {
  for (long i = 0; i < c->n; i++) {
    const float *row = x + column_row(g, c, i) * g->D;
    for (long d = 0; d < g->D; d++) out[i * g->D + d] = scale * row[d];
  }
  memset(out + c->n * g->D, 0, (c->width - c->n) * g->D * sizeof(float));
}

static void copy_rows(long rows, long D, const float *x, long ldx, float *y, long ldy) {
  for (long i = 0; i < rows; i++) memcpy(y + i * ldy, x + i * ldx, D * sizeof(float));
}

static void attend_backward(const attention *g, const columns *c, const tile *w) {
  long D = g->D, width = c->width;
  float lse[COLUMNS] = {0}, delta[COLUMNS] = {0};
  load_transposed(g, c, g->q, g->scale, w->QT);
  load_transposed(g, c, g->d_out, 1.0f, w->dOT);
  load_rows_padded(g, c, g->q, g->scale, w->Q);
  load_rows_padded(g, c, g->d_out, 1.0f, w->dO);
  for (long i = 0; i < c->n; i++) {
    long row = column_row(g, c, i);
    lse[i] = g->lse_in[row];
    delta[i] = dot_fixed(g->d_out + row * D, g->o + row * D, D);
  }
  for (long s = c->lo_min; s <= c->hi_max; s += KEYS) {
    long rows = MIN(KEYS, c->hi_max + 1 - s), padded = pad_to_16(rows), stride, from = (c->b * g->room + s) * g->Hk + c->head;
    const float *k = key_rows(g, g->k, c, s, rows, w->k, &stride), *v = key_rows(g, g->v, c, s, rows, w->v, &stride);
    small_gemm(padded, width, D, k, stride, 1, w->QT, COLUMNS, w->P, COLUMNS, 0);
    small_gemm(padded, width, D, v, stride, 1, w->dOT, COLUMNS, w->dS, COLUMNS, 0);
    mask(c, s, rows, w->P);
    for (long j = 0; j < rows; j++)
      for (long i = 0; i < width; i++) {
        long x = j * COLUMNS + i;
        float p = q_exp(w->P[x] - lse[i]);
        w->P[x] = p;
        w->dS[x] = p * (w->dS[x] - delta[i]);
      }
    /* A tile with fewer rows than the product's unit is added to in a copy. */
    int whole = rows == padded;
    float *dk = whole ? g->dk + from * D : w->dk, *dv = whole ? g->dv + from * D : w->dv;
    long ld = whole ? g->Hk * D : D;
    if (!whole) {
      copy_rows(rows, D, g->dk + from * D, g->Hk * D, w->dk, D);
      copy_rows(rows, D, g->dv + from * D, g->Hk * D, w->dv, D);
      memset(w->dk + rows * D, 0, (padded - rows) * D * sizeof(float));
      memset(w->dv + rows * D, 0, (padded - rows) * D * sizeof(float));
      memset(w->P + rows * COLUMNS, 0, (padded - rows) * COLUMNS * sizeof(float));
      memset(w->dS + rows * COLUMNS, 0, (padded - rows) * COLUMNS * sizeof(float));
    }
    small_gemm(padded, D, width, w->P, COLUMNS, 1, w->dO, D, dv, ld, 1);
    small_gemm(padded, D, width, w->dS, COLUMNS, 1, w->Q, D, dk, ld, 1);
    small_gemm(width, D, rows, w->dS, 1, COLUMNS, k, stride, w->dQ, D, s > c->lo_min);
    if (!whole) {
      copy_rows(rows, D, w->dk, D, g->dk + from * D, g->Hk * D);
      copy_rows(rows, D, w->dv, D, g->dv + from * D, g->Hk * D);
    }
  }
  for (long i = 0; i < c->n; i++)
    for (long d = 0; d < D; d++) g->dq[column_row(g, c, i) * D + d] = g->scale * w->dQ[i * D + d];
}

static void attend_backward_heads(void *context, long begin, long end) {
  const attention *g = context;
  long D = g->D, block = COLUMNS * D;
  float *at = scratch(SCRATCH_KERNEL, (9 * block + 2 * KEYS * COLUMNS) * sizeof(float));
  tile w = {.QT = at, .dOT = at + block, .Q = at + 2 * block, .dO = at + 3 * block, .dQ = at + 4 * block, .k = at + 5 * block,
            .v = at + 6 * block, .dk = at + 7 * block, .dv = at + 8 * block, .P = at + 9 * block};
  w.dS = w.P + KEYS * COLUMNS;
  for (long item = begin; item < end; item++) {
    long b = item / g->Hk, head = item % g->Hk;
    for (long s = 0; s < g->room; s++) {
      memset(g->dk + ((b * g->room + s) * g->Hk + head) * D, 0, D * sizeof(float));
      memset(g->dv + ((b * g->room + s) * g->Hk + head) * D, 0, D * sizeof(float));
    }
    for (long first = 0; first < g->T * g->G; first += COLUMNS) {
      columns c = take_columns(g, b, head, first);
      attend_backward(g, &c, &w);
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
