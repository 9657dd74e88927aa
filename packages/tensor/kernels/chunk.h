/* One chunk of a linear recurrence in scratch memory: its rows, the scores between them, the pseudo-values D. */
#ifndef CHUNK_H
#define CHUNK_H
#include "recurrence.h"

typedef struct {
  long rows, n, dk, lk, lv, ln; /* n: rows padded to 16; leading dimensions of [n,dk], [n,dv] and [*,n] matrices */
  int decays;
  float *Q, *K, *Qin, *Kin, *KT; /* Qin = Q e^G, Kin = K e^G, KT = (K e^{G_n - G})^T */
  float *A, *P, *D;
  float *write, *erase, *end; /* erase: negated */
} chunk;

static inline size_t chunk_floats(const recurrence *g, long width, int backward) {
  long n = pad16(g->chunk), lk = padded(g->dk), lv = padded(width), ln = padded(g->chunk);
  (void)backward;
  return 3 * n * lk + g->dk * ln + 2 * n * ln + n * lv + 3 * n + g->dk * lv + 256;
}
static inline chunk carve_chunk(float **at, const recurrence *g, long width, int backward) {
  long n = pad16(g->chunk), lk = padded(g->dk), lv = padded(width), ln = padded(g->chunk);
  (void)backward;
  chunk c = {.dk = g->dk, .lk = lk, .lv = lv, .ln = ln, .Q = carve(at, n * lk), .K = carve(at, n * lk), .KT = carve(at, g->dk * ln),
             .A = carve(at, n * ln), .P = carve(at, n * ln), .D = carve(at, n * lv), .write = carve(at, n), .erase = carve(at, n)};
  c.Qin = c.Q;
  c.Kin = c.K;
  return c;
}

static void load_chunk(const recurrence *g, chunk *c, int64_t b, int64_t h, int64_t t, int64_t next) {
  c->rows = next - t;
  c->n = pad16(c->rows);
  load_rows(g, g->q, b, h, t, c->rows, c->n, c->dk, c->Q, c->lk);
  load_rows(g, g->k, b, h, t, c->rows, c->n, c->dk, c->K, c->lk);
  load_scalars(g, g->write, b, h, t, c->rows, c->n, c->write);
  for (long i = 0; i < c->n; i++) c->erase[i] = -c->write[i];
  transpose(c->n, c->dk, c->K, c->lk, c->KT, c->ln);
  product_lower(c->n, c->dk, c->K, c->lk, c->KT, c->ln, c->A, c->ln);
  product_lower(c->n, c->dk, c->Q, c->lk, c->KT, c->ln, c->P, c->ln);
}

/* D by forward substitution, rows of V at V + i * step; keeps Y = (K e^G) S + strict_lower(A) D if asked. */
INLINE void solve_block(const int nv, long j, const chunk *c, const float *S, const float *V, int64_t step, float *Y) {
  for (long i = 0; i < c->n; i += TILE_ROWS) {
    tile y;
    tile_zero(nv, y);
    tile_product(nv, y, c->dk, c->Kin + i * c->lk, c->lk, 1, S + j, c->lv);
    tile_product(nv, y, i, c->A + i * c->ln, c->ln, 1, c->D + j, c->lv);
    EACH_ROW(r) {
      vf w = vset(c->write[i + r]), e = vset(c->erase[i + r]), d[TILE_VECTORS];
      EACH_VECTOR(v) {
        vf value = i + r < c->rows ? vload(V + (i + r) * step + j + v * VW) : vset(0.0f);
        d[v] = vfma(e, y[r][v], vfma(w, value, vset(0.0f)));
        vstore(c->D + (i + r) * c->lv + j + v * VW, d[v]);
      }
      EACH_ROW(below) if (below > r) {
        vf a = vset(c->A[(i + below) * c->ln + i + r]);
        EACH_VECTOR(v) y[below][v] = vfma(a, d[v], y[below][v]);
      }
    }
    if (Y) tile_store(nv, y, TILE_ROWS, Y + i * c->lv + j, c->lv);
  }
}
static void solve(const chunk *c, const float *S, const float *V, int64_t step, long width, float *Y) {
#define WORK(nv, j) solve_block(nv, j, c, S, V, step, Y)
  EACH_BLOCK(width, WORK);
#undef WORK
}
#endif
