/* Forward pass of the linear recurrences (recurrence.h): chunk by chunk, or token by token for short blocks. */
#include "chunk.h"

/* O = (Q e^G) S + lower(P) D, straight to its place; `columns` of the value width from `first` on. */
typedef struct {
  const recurrence *g;
  const chunk *c;
  const float *S;
  float *out;
  int64_t step;
} output;
INLINE void output_block(const int nv, long j, const output *o) {
  const chunk *c = o->c;
  for (long i = 0; i < c->n; i += TILE_ROWS) {
    tile s;
    tile_zero(nv, s);
    tile_product(nv, s, c->dk, c->Qin + i * c->lk, c->lk, 1, o->S + j, c->lv);
    tile_product(nv, s, i, c->P + i * c->ln, c->ln, 1, c->D + j, c->lv);
    tile_triangle(nv, s, 1, c->P + i * c->ln + i, c->ln, 1, c->D + i * c->lv + j, c->lv);
    tile_store(nv, s, c->rows - i, o->out + i * o->step + j, o->step);
  }
}

/* S = e^{G_n} S + (K e^{G_n - G})^T D */
INLINE void state_block(const int nv, long j, const chunk *c, float *S) {
  for (long i = 0; i < c->dk; i += TILE_ROWS) {
    tile s;
    tile_load(nv, s, S + i * c->lv + j, c->lv);
    if (c->decays) tile_scale(nv, s, c->end + i);
    tile_product(nv, s, c->rows, c->KT + i * c->ln, c->ln, 1, c->D + j, c->lv);
    tile_store(nv, s, TILE_ROWS, S + i * c->lv + j, c->lv);
  }
}

static void forward_items(void *context, long begin, long end) {
  const recurrence *g = context;
  long dk = g->dk, dv = g->dv;
  for (long index = begin; index < end; index++) {
    int64_t item = index / g->parts, b = item / g->H, h = item % g->H;
    long width = pad16((dv + g->parts - 1) / g->parts), first = index % g->parts * width;
    if (first >= dv) continue;
    width = MIN(width, dv - first);
    float *at = scratch(SCRATCH_KERNEL, chunk_floats(g, width, 0) * sizeof(float));
    chunk c = carve_chunk(&at, g, width, 0);
    float *S = carve(&at, dk * c.lv);
    copy_state(dk, width, g->start ? g->start + item * dk * dv + first : NULL, dv, S, c.lv);
    long number = 0;
    for (int64_t t = 0, next; t < g->T; t = next) {
      next = chunk_end(g, b, t);
      if (starts_segment(g, b, t)) copy_state(dk, width, NULL, dv, S, c.lv);
      if (g->saved) copy_state(dk, width, S, c.lv, g->saved + (item * g->chunks + number++) * dk * dv + first, dv);
      load_chunk(g, &c, b, h, t, next);
      int64_t row = token_row(g, b, h, t) * dv + first;
      output o = {g, &c, S, g->out + row, g->H * dv};
      solve(&c, S, g->v + row, g->H * dv, width, NULL);
#define WORK(nv, j) output_block(nv, j, &o)
      EACH_BLOCK(width, WORK);
#undef WORK
#define WORK(nv, j) state_block(nv, j, &c, S)
      EACH_BLOCK(width, WORK);
#undef WORK
    }
    copy_state(dk, width, S, c.lv, g->end + item * dk * dv + first, dv);
  }
}

/* Enough pieces for every thread: value columns of one head do not depend on each other. */
static long value_parts(const recurrence *g) {
  long items = g->B * g->H, parts = 1;
  while (items * parts < 8 * pool_threads() && items * parts % pool_threads() != 0 && g->dv / parts > 16) parts *= 2;
  return parts;
}

/* p: out end[B,H,dk,dv] saved? q[B,T,H,dk] k v[B,T,H,dv] alpha[B,T,H] start? position?[B,T]; n: B T H dk dv chunks */
KERNEL(delta_rule) {
  recurrence g = {.out = F(0), .end = F(1), .saved = F(2), .q = F(3), .k = F(4), .v = F(5), .write = F(6), .start = F(7),
                  .position = I(8), .B = L(0), .T = L(1), .H = L(2), .dk = L(3), .dv = L(4), .chunks = L(5), .rule = RULE_DELTA};
  g.chunk = 64;
  g.parts = value_parts(&g);
  parallel_for(g.B * g.H * g.parts, 1, forward_items, &g);
}
