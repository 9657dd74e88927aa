/* Backward pass of the linear recurrences (recurrence.h), from the last chunk to the first. Each chunk is computed again
   from its saved start S; dS is the gradient of the state behind it. With D and Y of the forward pass:
     dD = P^T dO + (K e^{G_n - G}) dS + strict_lower(A)^T dY,  dY = -diag(e) dD   by substitution from the last row up
     dV = diag(w) dD,  dw_i = <dD_i, V_i>,  de_i = -<dD_i, Y_i>,  dP = lower(dO D^T),  dA = strict_lower(dY D^T)
     dS <- e^{G_n} dS + (Q e^G)^T dO + (K e^G)^T dY */
#include "chunk_backward.h"

INLINE void values_block(const int nv, long j, const adjoint *a, float *dv_out, int64_t step) {
  const chunk *c = &a->c;
  for (long i = c->n - TILE_ROWS; i >= 0; i -= TILE_ROWS) {
    long below = i + TILE_ROWS, last = c->n - 1;
    tile s;
    tile_zero(nv, s);
    tile_triangle(nv, s, 0, c->P + i * c->ln + i, 1, c->ln, a->dO + i * c->lv + j, c->lv);
    tile_product(nv, s, c->n - below, c->P + below * c->ln + i, 1, c->ln, a->dO + below * c->lv + j, c->lv);
    tile_product(nv, s, c->dk, c->KT + i, 1, c->ln, a->dS + j, c->lv);
    if (c->rule)
      tile_product(nv, s, c->n - below, c->A + last * c->ln + i, 1, -c->ln, a->dY + last * c->lv + j, -c->lv);
    _Pragma("GCC unroll 8") for (int r = TILE_ROWS - 1; r >= 0; r--) {
      vf e = vset(c->erase[i + r]), w = vset(c->write[i + r]), dy[TILE_VECTORS];
      EACH_VECTOR(v) {
        vstore(a->dD + (i + r) * c->lv + j + v * VW, s[r][v]);
        if (i + r < c->rows) vstore(dv_out + (i + r) * step + j + v * VW, vmul(w, s[r][v]));
      }
      if (c->rule) {
        EACH_VECTOR(v) {
          dy[v] = vmul(e, s[r][v]);
          vstore(a->dY + (i + r) * c->lv + j + v * VW, dy[v]);
        }
        EACH_ROW(above) if (above < r) {
          vf x = vset(c->A[(i + r) * c->ln + i + above]);
          EACH_VECTOR(v) s[above][v] = vfma(x, dy[v], s[above][v]);
        }
      }
    }
  }
}

INLINE void state_block(const int nv, long j, const adjoint *a) {
  const chunk *c = &a->c;
  for (long i = 0; i < c->dk; i += TILE_ROWS) {
    tile s;
    tile_load(nv, s, a->dS + i * c->lv + j, c->lv);
    if (c->decay) tile_scale(nv, s, c->end + i);
    tile_product(nv, s, c->rows, c->Qin + i, 1, c->lk, a->dO + j, c->lv);
    if (c->rule) tile_product(nv, s, c->rows, c->Kin + i, 1, c->lk, a->dY + j, c->lv);
    tile_store(nv, s, TILE_ROWS, a->dS + i * c->lv + j, c->lv);
  }
}

/* Gradients of the strengths, one dot product per token. */
static void strengths(const recurrence *g, const adjoint *a, int64_t row) {
  const chunk *c = &a->c;
  long dv = g->dv;
  for (long i = 0; i < c->rows; i++) {
    float *v = a->V + i * c->lv, *y = a->Y + i * c->lv, *d = a->dD + i * c->lv;
    if (c->rule == RULE_DELTA)
      for (long j = 0; j < dv; j++) v[j] -= y[j];
    if (g->dwrite) g->dwrite[row + i * g->H] = dot_fixed(d, v, dv);
    if (g->derase) g->derase[row + i * g->H] = -dot_fixed(d, y, dv);
  }
}

static float channel_sum(const float *x, long width) {
  float lanes[LANES] = {0};
  for (long i = 0; i < width; i += LANES)
    for (int j = 0; j < LANES; j++) lanes[j] += x[i + j];
  return lane_sum(lanes);
}

static void backward_chunk(const recurrence *g, adjoint *a, int64_t b, int64_t h, int64_t t, int64_t next, const float *S) {
  chunk *c = &a->c;
  long dk = g->dk, dv = g->dv;
  int64_t row = token_row(g, b, h, t);
  load_chunk(g, c, b, h, t, next);
  load_rows(g, g->v, b, h, t, c->rows, c->n, dv, a->V, c->lv);
  load_rows(g, g->d_out, b, h, t, c->rows, c->n, dv, a->dO, c->lv);
  copy_state(dk, dv, S, dv, a->S, c->lv);
  solve(c, a->S, a->V, c->lv, dv, a->Y);
  transpose_small(c->n, dv, c->D, c->lv, a->DT, c->ln);
  transpose_small(dk, dv, a->S, c->lv, a->ST, c->lk);
  transpose_small(dk, dv, a->dS, c->lv, a->dST, c->lk);

#define WORK(nv, j) values_block(nv, j, a, g->dv_out + row * dv, g->H * dv)
  EACH_BLOCK(dv, WORK);
#undef WORK
  strengths(g, a, row);
  product_lower(c->n, dv, a->dO, c->lv, a->DT, c->ln, a->dP, c->ln);
  if (c->rule) product_lower(c->n, dv, a->dY, c->lv, a->DT, c->ln, a->dA, c->ln);
  keys_and_queries(a);
  store_rows(g, g->dq, b, h, t, c->rows, dk, a->dQ, c->lk);
  store_rows(g, g->dk_out, b, h, t, c->rows, dk, a->dK, c->lk);
  if (c->decay == DECAY_CHANNEL) store_rows(g, g->dgate, b, h, t, c->rows, dk, a->dG, c->lk);
  if (c->decay == DECAY_HEAD)
    for (long i = 0; i < c->rows; i++) g->dgate[row + i * g->H] = channel_sum(a->dG + i * c->lk, dk);
#define WORK(nv, j) state_block(nv, j, a)
  EACH_BLOCK(dv, WORK);
#undef WORK
  if (starts_segment(g, b, t)) copy_state(dk, dv, NULL, dv, a->dS, c->lv);
}

static void backward_items(void *context, long begin, long end) {
  const recurrence *g = context;
  long dk = g->dk, dv = g->dv, size = dk * dv;
  int64_t list = (g->chunks + 1) * (sizeof(int64_t) / sizeof(float));
  arena at = {NULL, 0};
  carve_adjoint(&at, g);
  carve(&at, list);
  at = (arena){scratch(SCRATCH_KERNEL, at.used * sizeof(float)), 0};
  adjoint a = carve_adjoint(&at, g);
  int64_t *starts = (int64_t *)carve(&at, list);
  for (long item = begin; item < end; item++) {
    int64_t b = item / g->H, h = item % g->H, count = 0;
    for (int64_t t = 0; t < g->T; t = chunk_end(g, b, t)) starts[count++] = t;
    starts[count] = g->T;
    copy_state(dk, dv, g->d_end ? g->d_end + item * size : NULL, dv, a.dS, a.c.lv);
    for (int64_t i = count - 1; i >= 0; i--)
      backward_chunk(g, &a, b, h, starts[i], starts[i + 1], g->saved + (item * g->chunks + i) * size);
    if (g->dstart) copy_state(dk, dv, a.dS, a.c.lv, g->dstart + item * size, dv);
  }
}

/* p: dq dk dv dwrite? derase? dgate? dstart? saved q k v write? erase? gate? position? dout dend?;
   n: B T H dk dv chunk chunks rule decay. dwrite with rule 1 is the gradient of both strengths. */
KERNEL(recurrence_backward) {
  recurrence g = {.dq = F(0), .dk_out = F(1), .dv_out = F(2), .dwrite = F(3), .derase = F(4), .dgate = F(5), .dstart = F(6),
                  .saved = F(7), .q = F(8), .k = F(9), .v = F(10), .write = F(11), .erase = F(12), .gate = F(13),
                  .position = I(14), .d_out = F(15), .d_end = F(16), .B = L(0), .T = L(1), .H = L(2), .dk = L(3), .dv = L(4),
                  .chunk = L(5), .chunks = L(6), .rule = (int)L(7), .decay = (int)L(8)};
  g.next = -g.chunk;
  parallel_for(g.B * g.H, 1, backward_items, &g);
}
