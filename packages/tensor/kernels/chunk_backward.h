/* Gradients of queries, keys and gates of one chunk (recurrence_backward.c). With dP, dA the gradients of the scores:
     dQ = e^G (dO S^T) + sum_j dP_ij k_j e^{G_i - G_j},  dK as later row = e^G (dY S^T) + sum_j dA_ij k_j e^{G_i - G_j}
     dK as earlier row = e^{G_n - G} (D dS^T) + sum_i (dP_ij q_i + dA_ij k_i) e^{G_i - G_j}
   g_t acts on what rows i >= t read of S, on pairs of rows j < t <= i, and on what the state S' keeps of S and of rows
   j < t. So dg_t sums q dQ + k dK(later) - k dK(earlier) over i >= t, where dK(earlier) is without its state part, and
   k times that part over j < t. Pairs i = j have no decay and are added after that: nothing large cancels. */
#ifndef CHUNK_BACKWARD_H
#define CHUNK_BACKWARD_H
#include "chunk.h"

typedef struct {
  chunk c;
  long dv;
  float *V, *Y, *dO, *dD, *dY, *DT, *dP, *dA, *S, *ST, *dS, *dST;
  float *dQ, *dK, *dKout; /* dK: as later row, then whole; dKout: as earlier row, with decay without its state part */
  float *dKstate, *dG, *carry, *before, *X, *Z; /* with decay only; X, Z: 16 rows each */
} adjoint;

static inline adjoint carve_adjoint(arena *at, const recurrence *g) {
  adjoint a = {.c = carve_chunk(at, g, g->dv), .dv = g->dv};
  long n = pad16(g->chunk), dk = g->dk, dv = g->dv, lk = a.c.lk, lv = a.c.lv, ln = a.c.ln;
  a.V = carve(at, n * lv), a.Y = carve(at, n * lv), a.dO = carve(at, n * lv), a.dD = carve(at, n * lv), a.dY = carve(at, n * lv);
  a.DT = carve(at, dv * ln), a.dP = carve(at, n * ln), a.dA = carve(at, n * ln);
  a.S = carve(at, dk * lv), a.dS = carve(at, dk * lv), a.ST = carve(at, dv * lk), a.dST = carve(at, dv * lk);
  a.dQ = carve(at, n * lk), a.dK = carve(at, n * lk), a.dKout = carve(at, n * lk);
  if (g->decay) {
    a.dKstate = carve(at, n * lk), a.dG = carve(at, n * lk);
    a.X = carve(at, 16 * lk), a.Z = carve(at, 16 * lk);
    a.carry = carve(at, dk), a.before = carve(at, dk);
  }
  return a;
}

/* to = e^G (dX S^T) + lower(dT) K without decay of channels; dT holds its factors. */
INLINE void later_block(const int nv, long j, const adjoint *a, const float *dX, const float *dT, float *to) {
  const chunk *c = &a->c;
  for (long i = 0; i < c->n; i += TILE_ROWS) {
    tile s;
    tile_zero(nv, s);
    tile_product(nv, s, a->dv, dX + i * c->lv, c->lv, 1, a->ST + j, c->lk);
    if (c->decay) tile_scale(nv, s, c->prefix + i);
    tile_product(nv, s, i, dT + i * c->ln, c->ln, 1, c->K + j, c->lk);
    tile_triangle(nv, s, 1, dT + i * c->ln + i, c->ln, 1, c->K + i * c->lk + j, c->lk);
    tile_store(nv, s, TILE_ROWS, to + i * c->lk + j, c->lk);
  }
}

/* dKstate = e^{G_n - G} (D dS^T), dKout = dP^T Q + dA^T K; without decay their sum in dKout. */
INLINE void earlier_block(const int nv, long j, const adjoint *a) {
  const chunk *c = &a->c;
  for (long i = 0; i < c->n; i += TILE_ROWS) {
    long below = i + TILE_ROWS, rest = c->n - below, ln = c->ln, lk = c->lk;
    tile s;
    tile_zero(nv, s);
    tile_product(nv, s, a->dv, c->D + i * c->lv, c->lv, 1, a->dST + j, lk);
    if (c->decay) {
      tile_scale(nv, s, c->suffix + i);
      tile_store(nv, s, TILE_ROWS, a->dKstate + i * lk + j, lk);
      tile_zero(nv, s);
    }
    tile_triangle(nv, s, 0, a->dP + i * ln + i, 1, ln, c->Q + i * lk + j, lk);
    tile_product(nv, s, rest, a->dP + below * ln + i, 1, ln, c->Q + below * lk + j, lk);
    if (c->rule) {
      tile_triangle(nv, s, 0, a->dA + i * ln + i, 1, ln, c->K + i * lk + j, lk);
      tile_product(nv, s, rest, a->dA + below * ln + i, 1, ln, c->K + below * lk + j, lk);
    }
    tile_store(nv, s, TILE_ROWS, a->dKout + i * lk + j, lk);
  }
}

/* Rows s to s + 15 of `to`, with decay of channels; c->suffix holds earlier keys decayed to row s. */
INLINE void later_rows(const int nv, long j, const adjoint *a, long s, int plain, const float *dX, const float *dT, float *to) {
  const chunk *c = &a->c;
  for (long i = s; i < s + 16; i += TILE_ROWS) {
    const float *t = dT + i * c->ln;
    tile x;
    tile_zero(nv, x);
    tile_product(nv, x, a->dv, dX + i * c->lv, c->lv, 1, a->ST + j, c->lk);
    EACH_ROW(r) EACH_VECTOR(v) x[r][v] = vmul(vload(a->before + j + v * VW), x[r][v]);
    tile_product(nv, x, plain ? i : s, t, c->ln, 1, c->suffix + j, c->lk);
    if (plain) tile_triangle(nv, x, 1, t + i, c->ln, 1, c->suffix + i * c->lk + j, c->lk);
    EACH_ROW(r) EACH_VECTOR(v) x[r][v] = vmul(vload(c->prefix + (i + r) * c->lk + j + v * VW), x[r][v]);
    tile_store(nv, x, TILE_ROWS, to + i * c->lk + j, c->lk);
  }
}

/* dKout of the rows before `end` from after row s + 15 to before row s, and what rows s to s + 15 add to them. */
INLINE void earlier_rows(const int nv, long j, const adjoint *a, long s, long end) {
  const chunk *c = &a->c;
  const float *block = c->prefix + (s + 15) * c->lk + j;
  for (long i = 0; i < end; i += TILE_ROWS) {
    long ln = c->ln, lk = c->lk, from = MAX(s, i + (i < s ? 0 : TILE_ROWS)), rest = s + 16 - from;
    tile x;
    tile_load(nv, x, a->dKout + i * lk + j, lk);
    EACH_ROW(r) EACH_VECTOR(v) x[r][v] = vmul(vload(block + v * VW), x[r][v]);
    if (i >= s) tile_triangle(nv, x, 0, a->dP + i * ln + i, 1, ln, a->X + (i - s) * lk + j, lk);
    tile_product(nv, x, rest, a->dP + from * ln + i, 1, ln, a->X + (from - s) * lk + j, lk);
    if (c->rule) {
      if (i >= s) tile_triangle(nv, x, 0, a->dA + i * ln + i, 1, ln, a->Z + (i - s) * lk + j, lk);
      tile_product(nv, x, rest, a->dA + from * ln + i, 1, ln, a->Z + (from - s) * lk + j, lk);
    }
    tile_store(nv, x, TILE_ROWS, a->dKout + i * lk + j, lk);
  }
}

/* The gradients that go with scores_by_pair. */
static void by_pair_backward(const adjoint *a, long s) {
  const chunk *c = &a->c;
  long lk = c->lk, ln = c->ln, dk = c->dk;
  for (long j = s; j < s + 16; j++) {
    float *key = a->X, *sum = a->Z, *out = a->dKout + j * lk;
    memcpy(key, c->K + j * lk, dk * sizeof(float));
    for (long i = j + 1; i < s + 16; i++) {
      const float *f = c->factor + i * lk;
      float p = a->dP[i * ln + j], x = c->rule ? a->dA[i * ln + j] : 0.0f;
      for (long d = 0; d < dk; d++) {
        key[d] *= f[d];
        a->dQ[i * lk + d] = q_fma(p, key[d], a->dQ[i * lk + d]);
        a->dK[i * lk + d] = q_fma(x, key[d], a->dK[i * lk + d]);
      }
    }
    memset(sum, 0, dk * sizeof(float));
    for (long i = s + 15; i > j; i--) {
      const float *f = c->factor + i * lk, *q = c->Q + i * lk, *k = c->K + i * lk;
      float p = a->dP[i * ln + j], x = c->rule ? a->dA[i * ln + j] : 0.0f;
      for (long d = 0; d < dk; d++) sum[d] = q_fma(x, k[d], q_fma(p, q[d], sum[d])) * f[d];
    }
    for (long d = 0; d < dk; d++) out[d] += sum[d];
  }
}

static void channels_backward(const adjoint *a) {
  const chunk *c = &a->c;
  long n = c->n, dk = c->dk, lk = c->lk;
  for (long d = 0; d < dk; d++) a->before[d] = 1.0f;
  for (long s = 0; s < n; s += 16) {
    int plain = mild(c, s);
    const float *block = c->prefix + (s + 15) * lk;
#define WORK(nv, j) later_rows(nv, j, a, s, plain, a->dO, a->dP, a->dQ)
    EACH_BLOCK(dk, WORK);
#undef WORK
#define WORK(nv, j) later_rows(nv, j, a, s, plain, a->dY, a->dA, a->dK)
    if (c->rule) EACH_BLOCK(dk, WORK);
#undef WORK
    for (long i = 0; i < (plain ? s + 16 : s); i++)
      for (long d = 0; d < dk; d++) c->suffix[i * lk + d] *= block[d];
    for (long d = 0; d < dk; d++) a->before[d] *= block[d];
  }
#define WORK(nv, j) product_block(nv, n, a->dv, c->D, c->lv, 1, a->dST + j, lk, a->dKstate + j, lk, 0)
  EACH_BLOCK(dk, WORK);
#undef WORK
  float *product = a->before; /* of the factors after row i */
  for (long d = 0; d < dk; d++) product[d] = 1.0f;
  for (long i = n - 1; i >= 0; i--)
    for (long d = 0; d < dk; d++) {
      a->dKstate[i * lk + d] *= product[d];
      product[d] *= c->factor[i * lk + d];
    }
  memset(a->dKout, 0, n * lk * sizeof(float));
  for (long s = n - 16; s >= 0; s -= 16) {
    int plain = mild(c, s);
    for (long i = 0; i < 16; i++)
      for (long d = 0; d < dk; d++) {
        a->X[i * lk + d] = c->Q[(s + i) * lk + d] * c->prefix[(s + i) * lk + d];
        a->Z[i * lk + d] = c->K[(s + i) * lk + d] * c->prefix[(s + i) * lk + d];
      }
#define WORK(nv, j) earlier_rows(nv, j, a, s, plain ? s + 16 : s)
    EACH_BLOCK(dk, WORK);
#undef WORK
    if (plain) {
      for (long x = s * lk; x < (s + 16) * lk; x++) a->dKout[x] /= c->prefix[x];
      continue;
    }
    for (long d = 0; d < dk; d++) product[d] = 1.0f;
    for (long i = s + 15; i >= s; i--)
      for (long d = 0; d < dk; d++) {
        a->dKout[i * lk + d] *= product[d];
        product[d] *= c->factor[i * lk + d];
      }
    by_pair_backward(a, s);
  }
}

/* dQ, dK and dG from dP and dA (both changed), dO, dY, D and the states. dG keeps channels apart. */
static void keys_and_queries(const adjoint *a) {
  const chunk *c = &a->c;
  long n = c->n, dk = c->dk, lk = c->lk, ln = c->ln;
  float *diagonal = c->write; /* no longer needed */
  for (long i = 0; i < n; i++) {
    diagonal[i] = a->dP[i * ln + i];
    if (c->decay) a->dP[i * ln + i] = 0.0f;
    a->dA[i * ln + i] = 0.0f;
  }
  if (c->decay)
    for (long d = 0; d < dk; d++) a->carry[d] = c->end[d] * dot_fixed(a->S + d * c->lv, a->dS + d * c->lv, a->dv);
  if (!c->rule) memset(a->dK, 0, n * lk * sizeof(float));
  if (c->decay == DECAY_CHANNEL) channels_backward(a);
  else {
    if (c->decay) {
      decay_triangle(n, c->factor, a->dP, ln, c->suffix);
      if (c->rule) decay_triangle(n, c->factor, a->dA, ln, c->suffix);
    }
#define WORK(nv, j) later_block(nv, j, a, a->dO, a->dP, a->dQ)
    EACH_BLOCK(dk, WORK);
#undef WORK
#define WORK(nv, j) later_block(nv, j, a, a->dY, a->dA, a->dK)
    if (c->rule) EACH_BLOCK(dk, WORK);
#undef WORK
#define WORK(nv, j) earlier_block(nv, j, a)
    EACH_BLOCK(dk, WORK);
#undef WORK
  }
  if (!c->decay) {
    for (long x = 0; x < n * lk; x++) a->dK[x] += a->dKout[x];
    return;
  }
  for (long i = 0; i < n; i++)
    for (long x = i * lk, d = 0; d < dk; x++, d++) {
      a->dG[x] = a->carry[d];
      a->carry[d] = q_fma(c->K[x], a->dKstate[x], a->carry[d]);
    }
  memset(a->carry, 0, dk * sizeof(float));
  for (long i = n - 1; i >= 0; i--)
    for (long x = i * lk, d = 0; d < dk; x++, d++) {
      float q = c->Q[x], k = c->K[x];
      a->carry[d] = q_fma(q, a->dQ[x], q_fma(k, a->dK[x] - a->dKout[x], a->carry[d]));
      a->dG[x] += a->carry[d];
      a->dQ[x] = q_fma(diagonal[i], k, a->dQ[x]);
      a->dK[x] += q_fma(diagonal[i], q, a->dKout[x] + a->dKstate[x]);
    }
}
#endif
