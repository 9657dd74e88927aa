/* Causal grouped-query attention, o_t = sum_j softmax_j(scale q_t k_j) v_j over the keys that t sees, with a running
   maximum and sum over tiles of keys (Milakov and Gimelshein 2018; Dao et al. 2022), so that no row of scores exists
   whole. Architecture §3.3. */
#include "attention.h"
#include "scalar.h"

static const float LOWEST = -3.402823466e38f; /* finite, so that a maximum over nothing subtracts cleanly */

static void attend(const attention *g, const columns *c) {
  long D = g->D, width = c->width;
  float *work = scratch(SCRATCH_KERNEL, (2 * D * COLUMNS + KEYS * COLUMNS + KEYS * D) * sizeof(float));
  float *Q = work, *O = Q + D * COLUMNS, *P = O + D * COLUMNS, *copy = P + KEYS * COLUMNS;
  float top[COLUMNS], total[COLUMNS], next[COLUMNS], factor[COLUMNS];
  load_transposed(g, c, g->q, g->scale, Q);
  for (long i = 0; i < width; i++) top[i] = LOWEST, total[i] = 0.0f;
  for (long s = c->lo_min; s <= c->hi_max; s += KEYS) {
    long rows = MIN(KEYS, c->hi_max + 1 - s), stride;
    const float *k = key_rows(g, g->k, c, s, rows, copy, &stride);
    small_gemm(pad_to_16(rows), width, D, k, stride, 1, Q, COLUMNS, P, COLUMNS, 0);
    mask(c, s, rows, P);
    memcpy(next, top, width * sizeof(float));
    for (long j = 0; j < rows; j++)
      for (long i = 0; i < width; i++) next[i] = P[j * COLUMNS + i] > next[i] ? P[j * COLUMNS + i] : next[i];
    float sum[COLUMNS] = {0};
    for (long j = 0; j < rows; j++)
      for (long i = 0; i < width; i++) {
        float p = q_exp(P[j * COLUMNS + i] - next[i]);
        P[j * COLUMNS + i] = p;
        sum[i] += p;
      }
    int moved = 0;
    for (long i = 0; i < width; i++) {
      factor[i] = q_exp(top[i] - next[i]);
      moved |= factor[i] != 1.0f;
      total[i] = q_fma(total[i], factor[i], sum[i]);
      top[i] = next[i];
    }
    if (moved && s > c->lo_min)
      for (long d = 0; d < D; d++)
        for (long i = 0; i < width; i++) O[d * COLUMNS + i] *= factor[i];
    const float *v = g->v + ((c->b * g->room + s) * g->Hk + c->head) * D;
    small_gemm(D, width, rows, v, 1, g->Hk * D, P, COLUMNS, O, COLUMNS, s > c->lo_min);
  }
  for (long i = 0; i < c->n; i++) {
    long row = column_row(g, c, i);
    float inverse = 1.0f / total[i];
    for (long d = 0; d < D; d++) g->out[row * D + d] = O[d * COLUMNS + i] * inverse;
    if (g->lse) g->lse[row] = top[i] + q_log(total[i]);
  }
}

static long tiles_of(const attention *g) { return (g->T * g->G + COLUMNS - 1) / COLUMNS; }

static void attend_tiles(void *context, long begin, long end) {
  const attention *g = context;
  long tiles = tiles_of(g);
  for (long item = begin; item < end; item++) {
    /* Late tiles see most keys: they go first, so that none is left to one thread at the end. */
    long pair = item % (g->B * g->Hk), tile = tiles - 1 - item / (g->B * g->Hk);
    columns c = take_columns(g, pair / g->Hk, pair % g->Hk, tile * COLUMNS);
    attend(g, &c);
  }
}

/* Decoding: one query per sequence over many keys, read once and in order for all heads. Parts of PART keys each leave
   their maximum, sum and unnormalised output per head; the parts are joined in order. */
enum { PART = 128 };

static void decode_parts(void *context, long begin, long end) {
  const attention *g = context;
  long D = g->D, H = g->H, parts = (g->S + PART - 1) / PART, row = g->Hk * D;
  float *P = scratch(SCRATCH_PACK_A, H * PART * sizeof(float)); /* the caller's SCRATCH_KERNEL holds the parts */
  for (long item = begin; item < end; item++) {
    long b = item / parts, from = first_key(g, b, 0) + item % parts * PART, n = MIN(PART, g->S - from);
    float *part = g->parts + item * H * (D + 2);
    if (n <= 0) {
      for (long h = 0; h < H; h++) part[h * (D + 2)] = LOWEST, part[h * (D + 2) + 1] = 0.0f;
      continue;
    }
    const float *k = g->k + (b * g->room + from) * row, *v = g->v + (b * g->room + from) * row, *q = g->q + b * H * D;
    for (long j = 0; j < n; j++)
      for (long h = 0; h < H; h++) P[h * PART + j] = g->scale * dot_fixed(q + h * D, k + j * row + h / g->G * D, D);
    for (long h = 0; h < H; h++) {
      float *p = P + h * PART, top = LOWEST, sum = 0.0f;
      for (long j = 0; j < n; j++) top = p[j] > top ? p[j] : top;
      for (long j = 0; j < n; j++) p[j] = q_exp(p[j] - top);
      for (long j = 0; j < n; j++) sum += p[j];
      part[h * (D + 2)] = top;
      part[h * (D + 2) + 1] = sum;
      memset(part + h * (D + 2) + 2, 0, D * sizeof(float));
    }
    for (long j = 0; j < n; j++)
      for (long h = 0; h < H; h++) {
        float p = P[h * PART + j], *o = part + h * (D + 2) + 2;
        const float *x = v + j * row + h / g->G * D;
        for (long d = 0; d < D; d++) o[d] = q_fma(p, x[d], o[d]);
      }
  }
}

static void join_parts(void *context, long begin, long end) {
  const attention *g = context;
  long D = g->D, parts = (g->S + PART - 1) / PART;
  for (long item = begin; item < end; item++) {
    long b = item / g->H, h = item % g->H;
    const float *first = g->parts + (b * parts * g->H + h) * (D + 2);
    float *out = g->out + item * D, top = LOWEST, total = 0.0f;
    for (long i = 0; i < parts; i++) {
      float x = first[i * g->H * (D + 2)];
      top = x > top ? x : top;
    }
    memset(out, 0, D * sizeof(float));
    for (long i = 0; i < parts; i++) {
      const float *part = first + i * g->H * (D + 2);
      if (part[1] == 0.0f) continue;
      float factor = q_exp(part[0] - top);
      total = q_fma(part[1], factor, total);
      for (long d = 0; d < D; d++) out[d] = q_fma(part[2 + d], factor, out[d]);
    }
    float inverse = 1.0f / total;
    for (long d = 0; d < D; d++) out[d] *= inverse;
    if (g->lse) g->lse[item] = top + q_log(total);
  }
}

/* p: out[B,T,H,D] lse?[B,T,H] q[B,T,H,D] k[B,room,Hk,D] v[B,room,Hk,D] position?[B,T]; n: B T S room H Hk D scale.
   The queries are the last T of S tokens; a token of position p sees itself and the p tokens before it. */
KERNEL(attention) {
  attention g = {.out = F(0), .lse = F(1), .q = F(2), .k = F(3), .v = F(4), .position = I(5), .B = L(0), .T = L(1),
                 .S = L(2), .room = L(3), .H = L(4), .Hk = L(5), .D = L(6), .scale = (float)a->n[7]};
  g.G = g.H / g.Hk;
  if (g.T == 1) {
    long parts = (g.S + PART - 1) / PART;
    g.parts = scratch(SCRATCH_KERNEL, g.B * parts * g.H * (g.D + 2) * sizeof(float));
    parallel_for(g.B * parts, 1, decode_parts, &g);
    parallel_for(g.B * g.H, 1 + 16384 / (parts * g.D + 1), join_parts, &g);
    return;
  }
  parallel_for(g.B * g.Hk * tiles_of(&g), 1, attend_tiles, &g);
}
