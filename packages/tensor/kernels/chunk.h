/* One chunk of a linear recurrence in scratch memory: its rows, the scores between them, what it writes. */
#ifndef CHUNK_H
#define CHUNK_H
#include "gemm.h"
#include "recurrence.h"
#include "scalar.h"

typedef struct {
  long rows, n, dk, lk, lv, ln; /* n: rows padded to 16; leading dimensions of [n,dk], [n,dv] and [*,n] matrices */
  int rule, decay;
  float *Q, *K, *Qin, *Kin, *KT; /* Qin = Q e^G, Kin = K e^G, KT = (K e^{G_n - G})^T */
  float *A, *P, *D;              /* strict_lower(R(K,K)), lower(R(Q,K)); above the triangle they hold anything */
  float *write, *erase;          /* w, -e */
  float *end;                    /* e^{G_n}, [dk] */
  /* Decay of the head: e^g, its products from the chunk's start and to its end, [n].
     Decay of channels: e^g, its products from the start of each 16 rows, keys on their way to the chunk's end, [n,dk]. */
  float *factor, *prefix, *suffix;
} chunk;

static inline chunk carve_chunk(arena *at, const recurrence *g, long width) {
  long n = pad16(g->chunk), dk = g->dk, lk = padded(dk), lv = padded(width), ln = padded(n);
  chunk c = {.dk = dk, .lk = lk, .lv = lv, .ln = ln, .rule = g->rule, .decay = g->decay};
  c.Q = carve(at, n * lk), c.K = carve(at, n * lk), c.KT = carve(at, dk * ln);
  c.A = carve(at, n * ln), c.P = carve(at, n * ln), c.D = carve(at, n * lv);
  c.write = carve(at, n), c.erase = carve(at, n);
  c.Qin = c.Q, c.Kin = c.K;
  if (g->decay) {
    long each = g->decay == DECAY_CHANNEL ? n * lk : n;
    c.Qin = carve(at, n * lk), c.Kin = carve(at, n * lk), c.end = carve(at, dk);
    c.factor = carve(at, each), c.prefix = carve(at, each), c.suffix = carve(at, each);
  }
  return c;
}

/* X_ij e^{G_i - G_j} in place for j <= i; `last` receives the factors of the last row. */
static inline void decay_triangle(long n, const float *factor, float *X, long ld, float *last) {
  for (long i = 0; i < n; i++) {
    float f = factor[i];
    for (long j = 0; j < i; j++) last[j] *= f;
    last[i] = 1.0f;
    for (long j = 0; j < i; j++) X[i * ld + j] *= last[j];
  }
}

static void decay_head(chunk *c) {
  long n = c->n, dk = c->dk, lk = c->lk;
  if (c->rule) decay_triangle(n, c->factor, c->A, c->ln, c->suffix);
  decay_triangle(n, c->factor, c->P, c->ln, c->suffix);
  float product = 1.0f;
  for (long i = 0; i < n; i++) {
    c->prefix[i] = product *= c->factor[i];
    for (long d = 0; d < dk; d++) c->Qin[i * lk + d] = c->Q[i * lk + d] * product;
    for (long d = 0; d < dk; d++) c->Kin[i * lk + d] = c->K[i * lk + d] * product;
  }
  for (long d = 0; d < dk; d++) {
    c->end[d] = product;
    for (long j = 0; j < n; j++) c->KT[d * c->ln + j] *= c->suffix[j];
  }
}

/* Whether e^{-G} stays far from overflow over the 16 rows from s on, so that their scores are plain products. */
static inline int mild(const chunk *c, long s) {
  const float *product = c->prefix + (s + 15) * c->lk;
  int ok = 1;
  for (long d = 0; d < c->dk; d++) ok &= product[d] >= 1e-18f;
  return ok;
}

/* Scores within 16 rows from s on under any decay: each key is carried down row by row. */
static void scores_by_pair(chunk *c, long s) {
  long lk = c->lk, ln = c->ln, dk = c->dk;
  for (long j = s; j < s + 16; j++) {
    float *key = c->suffix + j * lk;
    memcpy(key, c->K + j * lk, dk * sizeof(float));
    c->P[j * ln + j] = dot_fixed(c->Q + j * lk, key, dk);
    for (long i = j + 1; i < s + 16; i++) {
      const float *f = c->factor + i * lk;
      for (long d = 0; d < dk; d++) key[d] *= f[d];
      c->P[i * ln + j] = dot_fixed(c->Q + i * lk, key, dk);
      if (c->rule) c->A[i * ln + j] = dot_fixed(c->K + i * lk, key, dk);
    }
  }
}

/* Scores under decay of channels, 16 rows at a time: rows carry e^{G - rho}, rho the sum before these rows, and keys
   e^{rho - G}, which is at most 1 for earlier rows; exponents never add up over a chunk. Factors are multiplied, not
   exponents added, so strong decay costs no accuracy. */
static void scores_channel(chunk *c) {
  long lk = c->lk, ln = c->ln, dk = c->dk;
  for (long d = 0; d < dk; d++) c->end[d] = 1.0f;
  for (long s = 0; s < c->n; s += 16) {
    for (long i = s; i < s + 16; i++) {
      const float *f = c->factor + i * lk, *q = c->Q + i * lk, *k = c->K + i * lk;
      float *product = c->prefix + i * lk;
      if (i == s) memcpy(product, f, dk * sizeof(float));
      else
        for (long d = 0; d < dk; d++) product[d] = product[d - lk] * f[d];
      for (long d = 0; d < dk; d++) c->Qin[i * lk + d] = q[d] * product[d];
      for (long d = 0; d < dk; d++) c->Kin[i * lk + d] = k[d] * product[d];
    }
    int plain = mild(c, s);
    long before = plain ? s + 16 : s;
    if (plain)
      for (long x = s * lk; x < (s + 16) * lk; x++) c->suffix[x] = c->K[x] / c->prefix[x];
    else scores_by_pair(c, s);
    transpose_small(16, dk, c->suffix + s * lk, lk, c->KT + s, ln);
#define WORK(nv, j) product_block(nv, 16, dk, c->Qin + s * lk, lk, 1, c->KT + j, ln, c->P + s * ln + j, ln, 0)
    EACH_BLOCK(before, WORK);
#undef WORK
#define WORK(nv, j) product_block(nv, 16, dk, c->Kin + s * lk, lk, 1, c->KT + j, ln, c->A + s * ln + j, ln, 0)
    if (c->rule) EACH_BLOCK(before, WORK);
#undef WORK
    const float *block = c->prefix + (s + 15) * lk;
    for (long i = s; i < s + 16; i++) {
      for (long d = 0; d < dk; d++) c->Qin[i * lk + d] *= c->end[d];
      for (long d = 0; d < dk; d++) c->Kin[i * lk + d] *= c->end[d];
    }
    for (long d = 0; d < dk; d++) {
      c->end[d] *= block[d];
      for (long j = 0; j < before; j++) c->KT[d * ln + j] *= block[d];
    }
  }
}

static void load_chunk(const recurrence *g, chunk *c, int64_t b, int64_t h, int64_t t, int64_t next) {
  c->rows = next - t;
  c->n = pad16(c->rows);
  long n = c->n, dk = c->dk, lk = c->lk;
  load_rows(g, g->q, b, h, t, c->rows, n, dk, c->Q, lk);
  load_rows(g, g->k, b, h, t, c->rows, n, dk, c->K, lk);
  load_scalars(g, g->write, b, h, t, c->rows, n, 1.0f, c->write);
  load_scalars(g, g->rule == RULE_ERASE ? g->erase : g->write, b, h, t, c->rows, n, 1.0f, c->erase);
  for (long i = 0; i < n; i++) c->erase[i] = -c->erase[i];
  if (g->decay == DECAY_CHANNEL) {
    load_rows(g, g->gate, b, h, t, c->rows, n, dk, c->factor, lk);
    for (long i = 0; i < n; i++)
      for (long d = 0; d < dk; d++) c->factor[i * lk + d] = q_exp(c->factor[i * lk + d]);
    scores_channel(c);
    return;
  }
  transpose_small(n, dk, c->K, lk, c->KT, c->ln);
  if (g->rule) product_lower(n, dk, c->K, lk, c->KT, c->ln, c->A, c->ln);
  product_lower(n, dk, c->Q, lk, c->KT, c->ln, c->P, c->ln);
  if (g->decay == DECAY_HEAD) {
    load_scalars(g, g->gate, b, h, t, c->rows, n, 0.0f, c->factor);
    for (long i = 0; i < n; i++) c->factor[i] = q_exp(c->factor[i]);
    decay_head(c);
  }
}

/* D by forward substitution, row i of V at V + i * step; stores Y too if asked. */
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
        d[v] = vfma(e, y[r][v], vmul(w, value));
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
  if (c->rule == RULE_ADD) {
    for (long i = 0; i < c->n; i++)
      for (long j = 0; j < width; j++) c->D[i * c->lv + j] = i < c->rows ? c->write[i] * V[i * step + j] : 0.0f;
    return;
  }
#define WORK(nv, j) solve_block(nv, j, c, S, V, step, Y)
  EACH_BLOCK(width, WORK);
#undef WORK
}
#endif
