/* Forward pass of the linear recurrences (recurrence.h): chunk by chunk, or token by token for blocks too short for that. */
#include "chunk.h"

enum { SHORT_BLOCK = 16, TOKEN_VECTORS = VW == 4 ? 8 : 4, TOKEN_COLUMNS = TOKEN_VECTORS * VW };

/* O = (Q e^G) S + lower(P) D, straight to its place. */
INLINE void output_block(const int nv, long j, const chunk *c, const float *S, float *out, int64_t step) {
  for (long i = 0; i < c->n; i += TILE_ROWS) {
    tile s;
    tile_zero(nv, s);
    tile_product(nv, s, c->dk, c->Qin + i * c->lk, c->lk, 1, S + j, c->lv);
    tile_product(nv, s, i, c->P + i * c->ln, c->ln, 1, c->D + j, c->lv);
    tile_triangle(nv, s, 1, c->P + i * c->ln + i, c->ln, 1, c->D + i * c->lv + j, c->lv);
    tile_store(nv, s, c->rows - i, out + i * step + j, step);
  }
}

/* S = e^{G_n} S + (K e^{G_n - G})^T D */
INLINE void state_block(const int nv, long j, const chunk *c, float *S) {
  for (long i = 0; i < c->dk; i += TILE_ROWS) {
    tile s;
    tile_load(nv, s, S + i * c->lv + j, c->lv);
    if (c->decay) tile_scale(nv, s, c->end + i);
    tile_product(nv, s, c->rows, c->KT + i * c->ln, c->ln, 1, c->D + j, c->lv);
    tile_store(nv, s, TILE_ROWS, S + i * c->lv + j, c->lv);
  }
}

static void run_chunks(const recurrence *g, int64_t item, long first, long width) {
  int64_t b = item / g->H, h = item % g->H;
  long dk = g->dk, dv = g->dv, number = 0;
  arena at = {NULL, dk * padded(width)};
  carve_chunk(&at, g, width);
  at = (arena){scratch(SCRATCH_KERNEL, at.used * sizeof(float)), 0};
  chunk c = carve_chunk(&at, g, width);
  float *S = carve(&at, dk * c.lv);
  copy_state(dk, width, g->start ? g->start + item * dk * dv + first : NULL, dv, S, c.lv);
  for (int64_t t = 0, next; t < g->T; t = next) {
    next = chunk_end(g, b, t);
    if (starts_segment(g, b, t)) copy_state(dk, width, NULL, dv, S, c.lv);
    if (g->saved) copy_state(dk, width, S, c.lv, g->saved + (item * g->chunks + number++) * dk * dv + first, dv);
    load_chunk(g, &c, b, h, t, next);
    int64_t step = g->H * dv, row = token_row(g, b, h, t) * dv + first;
    solve(&c, S, g->v + row, step, width, NULL);
#define WORK(nv, j) output_block(nv, j, &c, S, g->out + row, step)
    EACH_BLOCK(width, WORK);
#undef WORK
#define WORK(nv, j) state_block(nv, j, &c, S)
    EACH_BLOCK(width, WORK);
#undef WORK
  }
  copy_state(dk, width, S, c.lv, g->end + item * dk * dv + first, dv);
}

/* One token on some columns of the state S (row stride dv). */
INLINE void token_step(const int nv, const recurrence *g, int64_t row, const float *factor, float *S, long first) {
  const float *q = g->q + row * g->dk, *k = g->k + row * g->dk, *v = g->v + row * g->dv + first;
  float w = g->write ? g->write[row] : 1.0f, e = g->rule == RULE_ADD ? 0.0f : g->rule == RULE_ERASE ? g->erase[row] : w;
  vf d[TOKEN_VECTORS], o[TOKEN_VECTORS];
  EACH_VECTOR(c) d[c] = o[c] = vset(0.0f);
  if (g->rule)
    for (long i = 0; i < g->dk; i++) {
      vf x = vset(k[i]), f = vset(factor[i]);
      EACH_VECTOR(c) {
        vf s = vload(S + i * g->dv + c * VW);
        if (g->decay) s = vmul(f, s);
        d[c] = vfma(x, s, d[c]);
      }
    }
  EACH_VECTOR(c) d[c] = vfma(vset(-e), d[c], vmul(vset(w), vload(v + c * VW)));
  for (long i = 0; i < g->dk; i++) {
    vf x = vset(k[i]), y = vset(q[i]), f = vset(factor[i]);
    EACH_VECTOR(c) {
      vf s = vload(S + i * g->dv + c * VW);
      if (g->decay) s = vmul(f, s);
      s = vfma(x, d[c], s);
      vstore(S + i * g->dv + c * VW, s);
      o[c] = vfma(y, s, o[c]);
    }
  }
  EACH_VECTOR(c) vstore(g->out + row * g->dv + first + c * VW, o[c]);
}

static void run_tokens(const recurrence *g, int64_t item, long first, long width) {
  int64_t b = item / g->H, h = item % g->H;
  long dk = g->dk, dv = g->dv;
  float *S = g->end + item * dk * dv + first, *factor = scratch(SCRATCH_KERNEL, dk * sizeof(float));
  copy_state(dk, width, g->start ? g->start + item * dk * dv + first : NULL, dv, S, dv);
  for (int64_t t = 0; t < g->T; t++) {
    int64_t row = token_row(g, b, h, t);
    if (starts_segment(g, b, t)) copy_state(dk, width, NULL, dv, S, dv);
    for (long i = 0; i < dk; i++)
      factor[i] = g->decay == DECAY_NONE ? 1.0f : q_exp(g->gate[g->decay == DECAY_CHANNEL ? row * dk + i : row]);
    long j = 0;
    for (; j + TOKEN_COLUMNS <= width; j += TOKEN_COLUMNS) token_step(TOKEN_VECTORS, g, row, factor, S + j, first + j);
    for (; j < width; j += 16) token_step(NARROW, g, row, factor, S + j, first + j);
  }
}

static void forward_items(void *context, long begin, long end) {
  const recurrence *g = context;
  long most = pad16((g->dv + g->parts - 1) / g->parts);
  for (long index = begin; index < end; index++) {
    long first = index % g->parts * most, width = MIN(most, g->dv - first);
    if (width <= 0) continue;
    if (g->T < SHORT_BLOCK && !g->saved) run_tokens(g, index / g->parts, first, width);
    else run_chunks(g, index / g->parts, first, width);
  }
}

/* Enough pieces for every thread: the value columns of a head do not depend on each other. */
static long value_parts(const recurrence *g) {
  long items = g->B * g->H, threads = pool_threads(), parts = 1;
  while (items * parts < 8 * threads && items * parts % threads != 0 && g->dv / parts > 16) parts *= 2;
  return parts;
}

/* p: out[B,T,H,dv] end[B,H,dk,dv] saved?[B,H,chunks,dk,dv] q k[B,T,H,dk] v write?[B,T,H] erase?[B,T,H]
      gate?[B,T,H] or [B,T,H,dk] start? position?[B,T]; n: B T H dk dv chunk chunks rule decay
   Widths are multiples of 16, the chunk length too. rule: 0 adds w v, 1 delta rule with e = w, 2 with `erase` as e.
   decay: 0 none, 1 gate per head, 2 gate per key channel. Without `write`, w is 1. */
KERNEL(recurrence) {
  recurrence g = {.out = F(0), .end = F(1), .saved = F(2), .q = F(3), .k = F(4), .v = F(5), .write = F(6), .erase = F(7),
                  .gate = F(8), .start = F(9), .position = I(10), .B = L(0), .T = L(1), .H = L(2), .dk = L(3), .dv = L(4),
                  .chunk = L(5), .chunks = L(6), .rule = (int)L(7), .decay = (int)L(8)};
  g.parts = value_parts(&g);
  g.next = g.chunk;
  parallel_for(g.B * g.H * g.parts, 1, forward_items, &g);
}
