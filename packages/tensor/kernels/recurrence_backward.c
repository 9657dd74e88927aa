/* Backward pass of the linear recurrences (recurrence.h), from the last chunk to the first. Each chunk is computed again
   from its saved start S; dS is the gradient of the state behind it. With D and Y of the forward pass:
     dD = P^T dO + (K e^{G_n - G}) dS + strict_lower(A)^T dY,  dY = -diag(e) dD   by substitution from the last row up
     dV = diag(w) dD,  dw_i = <dD_i, V_i>,  de_i = -<dD_i, Y_i>,  dP = lower(dO D^T),  dA = strict_lower(dY D^T)
     dS <- e^{G_n} dS + (Q e^G)^T dO + (K e^G)^T dY */
#include "chunk.h"

typedef struct {
  const recurrence *g;
  chunk c;
  float *V, *Y, *dO, *dD, *dY, *DT, *dP, *dA, *S, *ST, *dS, *dST, *dQ, *dK;
  float *dv_out;
  int64_t step;
} adjoint;

INLINE void values_block(const int nv, long j, const adjoint *a) {
  const chunk *c = &a->c;
  for (long i = c->n - TILE_ROWS; i >= 0; i -= TILE_ROWS) {
    long below = i + TILE_ROWS, last = c->n - 1;
    tile s;
    tile_zero(nv, s);
    tile_triangle(nv, s, 0, c->P + i * c->ln + i, 1, c->ln, a->dO + i * c->lv + j, c->lv);
    tile_product(nv, s, c->n - below, c->P + below * c->ln + i, 1, c->ln, a->dO + below * c->lv + j, c->lv);
    tile_product(nv, s, c->dk, c->KT + i, 1, c->ln, a->dS + j, c->lv);
    tile_product(nv, s, c->n - below, c->A + last * c->ln + i, 1, -c->ln, a->dY + last * c->lv + j, -c->lv);
    _Pragma("GCC unroll 8") for (int r = TILE_ROWS - 1; r >= 0; r--) {
      vf e = vset(c->erase[i + r]), w = vset(c->write[i + r]), dy[TILE_VECTORS];
      EACH_VECTOR(v) {
        dy[v] = vfma(e, s[r][v], vset(0.0f));
        vstore(a->dY + (i + r) * c->lv + j + v * VW, dy[v]);
        vstore(a->dD + (i + r) * c->lv + j + v * VW, s[r][v]);
        if (i + r < c->rows) vstore(a->dv_out + (i + r) * a->step + j + v * VW, vfma(w, s[r][v], vset(0.0f)));
      }
      EACH_ROW(above) if (above < r) {
        vf x = vset(c->A[(i + r) * c->ln + i + above]);
        EACH_VECTOR(v) s[above][v] = vfma(x, dy[v], s[above][v]);
      }
    }
  }
}

/* dQ = dO S^T + dP K */
INLINE void queries_block(const int nv, long j, const adjoint *a) {
  const chunk *c = &a->c;
  for (long i = 0; i < c->n; i += TILE_ROWS) {
    tile s;
    tile_zero(nv, s);
    tile_product(nv, s, a->g->dv, a->dO + i * c->lv, c->lv, 1, a->ST + j, c->lk);
    tile_product(nv, s, i, a->dP + i * c->ln, c->ln, 1, c->K + j, c->lk);
    tile_triangle(nv, s, 1, a->dP + i * c->ln + i, c->ln, 1, c->K + i * c->lk + j, c->lk);
    tile_store(nv, s, TILE_ROWS, a->dQ + i * c->lk + j, c->lk);
  }
}

/* dK = dY S^T + D dS^T + dP^T Q + (dA + dA^T) K */
INLINE void keys_block(const int nv, long j, const adjoint *a) {
  const chunk *c = &a->c;
  for (long i = 0; i < c->n; i += TILE_ROWS) {
    long below = i + TILE_ROWS, rest = c->n - below, ln = c->ln, lk = c->lk;
    tile s;
    tile_zero(nv, s);
    tile_product(nv, s, a->g->dv, a->dY + i * c->lv, c->lv, 1, a->ST + j, lk);
    tile_product(nv, s, a->g->dv, c->D + i * c->lv, c->lv, 1, a->dST + j, lk);
    tile_triangle(nv, s, 0, a->dP + i * ln + i, 1, ln, c->Q + i * lk + j, lk);
    tile_product(nv, s, rest, a->dP + below * ln + i, 1, ln, c->Q + below * lk + j, lk);
    tile_product(nv, s, i, a->dA + i * ln, ln, 1, c->K + j, lk);
    tile_triangle(nv, s, 1, a->dA + i * ln + i, ln, 1, c->K + i * lk + j, lk);
    tile_triangle(nv, s, 0, a->dA + i * ln + i, 1, ln, c->K + i * lk + j, lk);
    tile_product(nv, s, rest, a->dA + below * ln + i, 1, ln, c->K + below * lk + j, lk);
    tile_store(nv, s, TILE_ROWS, a->dK + i * lk + j, lk);
  }
}

INLINE void state_block(const int nv, long j, const adjoint *a) {
  const chunk *c = &a->c;
  for (long i = 0; i < c->dk; i += TILE_ROWS) {
    tile s;
    tile_load(nv, s, a->dS + i * c->lv + j, c->lv);
    tile_product(nv, s, c->rows, c->Qin + i, 1, c->lk, a->dO + j, c->lv);
    tile_product(nv, s, c->rows, c->Kin + i, 1, c->lk, a->dY + j, c->lv);
    tile_store(nv, s, TILE_ROWS, a->dS + i * c->lv + j, c->lv);
  }
}

static adjoint carve_adjoint(float **at, const recurrence *g) {
  adjoint a = {.g = g, .c = carve_chunk(at, g, g->dv, 1)};
  long n = pad16(g->chunk), dk = g->dk, dv = g->dv, lk = a.c.lk, lv = a.c.lv, ln = a.c.ln;
  a.V = carve(at, n * lv), a.Y = carve(at, n * lv), a.dO = carve(at, n * lv), a.dD = carve(at, n * lv), a.dY = carve(at, n * lv);
  a.DT = carve(at, dv * ln), a.dP = carve(at, n * ln), a.dA = carve(at, n * ln);
  a.S = carve(at, dk * lv), a.dS = carve(at, dk * lv), a.ST = carve(at, dv * lk), a.dST = carve(at, dv * lk);
  a.dQ = carve(at, n * lk), a.dK = carve(at, n * lk);
  return a;
}
static size_t adjoint_floats(const recurrence *g) {
  long n = pad16(g->chunk), lk = padded(g->dk), lv = padded(g->dv), ln = padded(g->chunk);
  return chunk_floats(g, g->dv, 1) + 5 * n * lv + g->dv * ln + 2 * n * ln + 2 * (g->dk * lv + g->dv * lk) + 2 * n * lk + 16 * 16;
}

static void backward_items(void *context, long begin, long end) {
  const recurrence *g = context;
  long dk = g->dk, dv = g->dv, size = dk * dv;
  for (long item = begin; item < end; item++) {
    int64_t b = item / g->H, h = item % g->H, count = 0;
    size_t list = (g->chunks + 1) * sizeof(int64_t) / sizeof(float) + 16;
    float *at = scratch(SCRATCH_KERNEL, (adjoint_floats(g) + list) * sizeof(float));
    int64_t *starts = (int64_t *)carve(&at, list);
    adjoint a = carve_adjoint(&at, g);
    chunk *c = &a.c;
    copy_state(dk, dv, g->d_end ? g->d_end + item * size : NULL, dv, a.dS, c->lv);
    for (int64_t t = 0; t < g->T; t = chunk_end(g, b, t)) starts[count++] = t;
    starts[count] = g->T;
    for (int64_t index = count - 1; index >= 0; index--) {
      int64_t t = starts[index], row = token_row(g, b, h, t);
      load_chunk(g, c, b, h, t, starts[index + 1]);
      load_rows(g, g->v, b, h, t, c->rows, c->n, dv, a.V, c->lv);
      load_rows(g, g->d_out, b, h, t, c->rows, c->n, dv, a.dO, c->lv);
      copy_state(dk, dv, g->saved + (item * g->chunks + index) * size, dv, a.S, c->lv);
      solve(c, a.S, a.V, c->lv, dv, a.Y);
      transpose(c->n, dv, c->D, c->lv, a.DT, c->ln);
      transpose(dk, dv, a.S, c->lv, a.ST, c->lk);
      transpose(dk, dv, a.dS, c->lv, a.dST, c->lk);

      a.dv_out = g->dv_out + row * dv;
      a.step = g->H * dv;
#define WORK(nv, j) values_block(nv, j, &a)
      EACH_BLOCK(dv, WORK);
#undef WORK
      for (long i = 0; i < c->rows; i++) {
        float *v = a.V + i * c->lv, *y = a.Y + i * c->lv, *d = a.dD + i * c->lv;
        for (long j = 0; j < dv; j++) v[j] -= y[j];
        g->dwrite[row + i * g->H] = dot_fixed(d, v, dv);
      }
      product_lower(c->n, dv, a.dO, c->lv, a.DT, c->ln, a.dP, c->ln);
      product_lower(c->n, dv, a.dY, c->lv, a.DT, c->ln, a.dA, c->ln);
      for (long i = 0; i < c->n; i++) a.dA[i * c->ln + i] = 0.0f;
#define WORK(nv, j) queries_block(nv, j, &a)
      EACH_BLOCK(dk, WORK);
#undef WORK
#define WORK(nv, j) keys_block(nv, j, &a)
      EACH_BLOCK(dk, WORK);
#undef WORK
      store_rows(g, g->dq, b, h, t, c->rows, dk, a.dQ, c->lk);
      store_rows(g, g->dk_out, b, h, t, c->rows, dk, a.dK, c->lk);
#define WORK(nv, j) state_block(nv, j, &a)
      EACH_BLOCK(dv, WORK);
#undef WORK
      if (starts_segment(g, b, t)) copy_state(dk, dv, NULL, dv, a.dS, c->lv);
    }
    if (g->dstart) copy_state(dk, dv, a.dS, c->lv, g->dstart + item * size, dv);
  }
}

/* p: dq dk dv dalpha dstart? saved q k v alpha position? dout dend?; n: B T H dk dv chunks */
KERNEL(delta_rule_backward) {
  recurrence g = {.dq = F(0), .dk_out = F(1), .dv_out = F(2), .dwrite = F(3), .dstart = F(4), .saved = F(5), .q = F(6),
                  .k = F(7), .v = F(8), .write = F(9), .position = I(10), .d_out = F(11), .d_end = F(12),
                  .B = L(0), .T = L(1), .H = L(2), .dk = L(3), .dv = L(4), .chunks = L(5), .rule = RULE_DELTA, .chunk = 64};
  parallel_for(g.B * g.H, 1, backward_items, &g);
}
