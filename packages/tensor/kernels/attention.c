/* Causal grouped-query attention, o_t = sum_j softmax_j(scale q_t k_j) v_j over the keys that t sees, with a running
   maximum and sum over tiles of keys (Milakov and Gimelshein 2018; Dao et al. 2022), so that no row of scores exists
   whole. Architecture §3.3. */
#include "attention.h"

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

enum { GROUP = 4, VALUES = 8, AHEAD = 4096 /* floats of keys that are on their way from memory */ };

/* lanes[h] = q_h x in LANES partial sums for `heads` queries that share the key x. */
static inline void score_heads(long D, const float *q, int heads, const float *x, float *lanes) {
  enum { NV = LANES / VW };
  vf s[GROUP][NV];
  for (int h = 0; h < heads; h++)
    for (int c = 0; c < NV; c++) s[h][c] = vset(0.0f);
  for (long d = 0; d < D; d += LANES) {
    __builtin_prefetch(x + d + AHEAD, 0, 2);
    for (int c = 0; c < NV; c++) {
      vf y = vload(x + d + c * VW);
      for (int h = 0; h < heads; h++) s[h][c] = vfma(vload(q + h * D + d + c * VW), y, s[h][c]);
    }
  }
  for (int h = 0; h < heads; h++)
    for (int c = 0; c < NV; c++) vstore(lanes + h * LANES + c * VW, s[h][c]);
}
static inline void score_key(long D, const float *q, long heads, const float *x, float *lanes) {
  for (; heads >= GROUP; heads -= GROUP, q += GROUP * D, lanes += GROUP * LANES) score_heads(D, q, GROUP, x, lanes);
  for (; heads > 0; heads--, q += D, lanes += LANES) score_heads(D, q, 1, x, lanes);
}

static void decode_parts(void *context, long begin, long end) {
  const attention *g = context;
  long D = g->D, H = g->H, G = g->G, parts = (g->S + PART - 1) / PART, row = g->Hk * D, width = pad_to_16(H);
  /* The caller's SCRATCH_KERNEL holds the parts. P is [PART, width], heads along vector lanes. */
  float *P = scratch(SCRATCH_PACK_A, width * (PART + LANES + 2) * sizeof(float)), *lanes = P + width * PART;
  float *top = lanes + width * LANES, *total = top + width;
  memset(lanes, 0, width * LANES * sizeof(float));
  for (long item = begin; item < end; item++) {
    long b = item / parts, from = first_key(g, b, 0) + item % parts * PART, n = MIN(PART, g->S - from);
    float *part = g->parts + item * H * (D + 2), *out = part + 2 * H; /* tops [H], sums [H], outputs [H,D] */
    for (long h = 0; h < width; h++) top[h] = LOWEST, total[h] = 0.0f;
    const float *k = g->k + (b * g->room + from) * row, *v = g->v + (b * g->room + from) * row, *q = g->q + b * H * D;
    for (long j = 0; j < n; j++) {
      float *p = P + j * width;
      for (long head = 0; head < g->Hk; head++)
        score_key(D, q + head * G * D, G, k + j * row + head * D, lanes + head * G * LANES);
      for (long h = 0; h < width; h += LANES) lane_sums(lanes + h * LANES, p + h);
      for (long h = 0; h < width; h++) {
        p[h] *= g->scale;
        top[h] = p[h] > top[h] ? p[h] : top[h];
      }
    }
    for (long j = 0; j < n; j++)
      for (long h = 0; h < width; h++) {
        float p = q_exp(P[j * width + h] - top[h]);
        P[j * width + h] = p;
        total[h] += p;
      }
    memcpy(part, top, H * sizeof(float));
    memcpy(part + H, total, H * sizeof(float));
    for (long j = 0; j < n; j += VALUES)
      for (long head = 0; head < g->Hk; head++) {
        for (long i = VALUES; i < 2 * VALUES; i++)
          for (long d = 0; d < D; d += LANES) __builtin_prefetch(v + (j + i) * row + head * D + d, 0, 2);
        small_gemm(G, D, MIN(VALUES, n - j), P + j * width + head * G, 1, width, v + j * row + head * D, row,
                   out + head * G * D, D, j ? GEMM_ADD : GEMM_SET);
      }
  }
}

static void join_parts(void *context, long begin, long end) {
  const attention *g = context;
  long D = g->D, parts = (g->S + PART - 1) / PART;
  for (long item = begin; item < end; item++) {
    long b = item / g->H, h = item % g->H;
    const float *first = g->parts + b * parts * g->H * (D + 2) + h; /* per part: tops [H], sums [H], outputs [H,D] */
    float *out = g->out + item * D, top = LOWEST, total = 0.0f;
    for (long i = 0; i < parts; i++) {
      float x = first[i * g->H * (D + 2)];
      top = x > top ? x : top;
    }
    memset(out, 0, D * sizeof(float));
    for (long i = 0; i < parts; i++) {
      const float *part = first + i * g->H * (D + 2);
      if (part[g->H] == 0.0f) continue;
      float factor = q_exp(part[0] - top);
      const float *o = part - h + 2 * g->H + h * D;
      total = q_fma(part[g->H], factor, total);
      for (long d = 0; d < D; d++) out[d] = q_fma(o[d], factor, out[d]);
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
