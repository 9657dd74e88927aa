/* Causal grouped-query attention, o_t = sum_j softmax_j(scale q_t k_j) v_j over the keys that t sees, with a running
   maximum and sum over tiles of keys (Milakov and Gimelshein 2018; Dao et al. 2022), so that no row of scores exists
   whole. Architecture §3.3. */
#include "attention.h"

/* One block of scores becomes e^(score - top); factor says by how much the sums before it shrink. */
static void softmax_block(const span *x, float *P, float *top, float *total, float *factor) {
  for (long i = x->column; i < x->column + x->width; i += VW) {
    vf before = vload(top + i), most = before, sum = vset(0.0f);
    for (long j = x->begin; j < x->end; j++) most = vmax(vload(P + j * COLUMNS + i), most);
    for (long j = x->begin; j < x->end; j++) {
      vf p = vexp2(vsub(vload(P + j * COLUMNS + i), most));
      vstore(P + j * COLUMNS + i, p);
      sum = vadd(sum, p);
    }
    vf shrink = vexp2(vsub(before, most));
    vstore(factor + i, shrink);
    vstore(total + i, vfma(vload(total + i), shrink, sum));
    vstore(top + i, most);
  }
}

/* Keys and values of one head, `row` floats from one to the next; `rows` can be read. */
typedef struct {
  const float *k, *v;
  long row, rows;
} head_keys;

/* What the next tile and the next head read, and where this tile writes. */
typedef struct {
  ahead q, out, k, v;
} wanted;

static void fetch_wanted(wanted *x) {
  fetch_ahead(&x->q, 4, 0);
  fetch_ahead(&x->out, 4, 1);
  fetch_ahead(&x->k, 6, 0);
  fetch_ahead(&x->v, 6, 0);
}

/* Keys [s, s+rows) of a head: in place, or as a zero-padded copy where a multiple of 16 would pass the end. */
static const float *key_block(const attention *g, const head_keys *h, long s, long rows, float *copy, long *stride) {
  *stride = h->row;
  if (s + pad_to_16(rows) <= h->rows) return h->k + s * h->row;
  gather(h->k + s * h->row, h->row, rows, pad_to_16(rows), g->D, copy);
  *stride = g->D;
  return copy;
}

static long tile_floats(const attention *g) { return 2 * g->D * COLUMNS + KEYS * COLUMNS + KEYS * g->D; }

static void attend(const attention *g, const columns *c, const head_keys *h, float *work, wanted *next) {
  long D = g->D, n = c->width;
  float *Q = work, *O = Q + D * COLUMNS, *P = O + D * COLUMNS, *copy = P + KEYS * COLUMNS;
  float top[COLUMNS], total[COLUMNS], factor[COLUMNS];
  load_rows(g, c, g->q, O);
  transpose_scaled(g, c, O, g->scale * LOG2_E, Q);
  memset(O, 0, n * D * sizeof(float));
  for (long i = 0; i < n; i++) top[i] = LOWEST, total[i] = 0.0f;
  for (long s = c->lo_min; s <= c->hi_max; s += KEYS) {
    long rows = MIN(KEYS, c->hi_max + 1 - s), stride, row = h->row;
    const float *k = key_block(g, h, s, rows, copy, &stride), *v = h->v + s * row;
    span spans[GROUPS];
    int count = take_spans(c, s, rows, spans);
    for (span *x = spans; x < spans + count; x++) {
      float *p = P + x->begin * COLUMNS + x->column;
      small_gemm(x->end - x->begin, x->width, D, k + x->begin * stride, stride, 1, Q + x->column, COLUMNS, p, COLUMNS, GEMM_SET);
      fetch_wanted(next);
      mask(c, s, x, P);
      softmax_block(x, P, top, total, factor);
      for (long i = x->column; i < x->column + x->width; i++)
        if (factor[i] != 1.0f)
          for (long d = 0; d < D; d += VW) vstore(O + i * D + d, vmul(vload(O + i * D + d), vset(factor[i])));
      small_gemm(x->width, D, MIN(x->end, rows) - x->begin, p, 1, COLUMNS, v + x->begin * row, row, O + x->column * D, D,
                 GEMM_ADD);
      fetch_wanted(next);
    }
  }
  for (long i = 0; i < c->n; i++) {
    long row = column_row(g, c, i);
    vf inverse = vset(1.0f / total[i]);
    for (long d = 0; d < D; d += VW) vstore(g->out + row * D + d, vmul(vload(O + i * D + d), inverse));
    if (g->lse) g->lse[row] = q_fma(top[i], LN_2, q_log(total[i]));
  }
}

/* Keys and values of a head that stay in a cache of the second level are copied there, once for all its tiles. */
enum { CACHED = 65536 };
static int heads_cached(const attention *g) { return g->S * g->D <= CACHED && g->B * g->Hk >= 4 * pool_threads(); }

static void attend_heads(void *context, long begin, long end) {
  const attention *g = context;
  long D = g->D, row = g->Hk * D, padded = pad_to_16(g->S);
  float *k = scratch(SCRATCH_KERNEL, (tile_floats(g) + 2 * padded * D) * sizeof(float));
  float *v = k + padded * D, *work = v + padded * D;
  head_keys h = {k, v, D, padded};
  for (long pair = begin; pair < end; pair++) {
    long from = (pair / g->Hk * g->room * g->Hk + pair % g->Hk) * D;
    int last = pair + 1 == end;
    gather(g->k + from, row, g->S, padded, D, k);
    gather(g->v + from, row, g->S, padded, D, v);
    wanted next = {0};
    if (!last) next.k = head_rows(g, pair + 1, g->k), next.v = head_rows(g, pair + 1, g->v);
    for (long first = 0; first < g->T * g->G; first += COLUMNS) {
      columns c = take_columns(g, pair / g->Hk, pair % g->Hk, first);
      next.out = query_rows(g, c.b, c.head, first, g->out);
      if (first + COLUMNS < g->T * g->G) next.q = query_rows(g, c.b, c.head, first + COLUMNS, g->q);
      else if (!last) next.q = query_rows(g, (pair + 1) / g->Hk, (pair + 1) % g->Hk, 0, g->q);
      attend(g, &c, &h, work, &next);
    }
  }
}

static long tiles_of(const attention *g) { return (g->T * g->G + COLUMNS - 1) / COLUMNS; }

static void attend_tiles(void *context, long begin, long end) {
  const attention *g = context;
  long tiles = tiles_of(g);
  float *work = scratch(SCRATCH_KERNEL, tile_floats(g) * sizeof(float));
  for (long item = begin; item < end; item++) {
    /* Late tiles see most keys: they go first, so that none is left to one thread at the end. */
    long pair = item % (g->B * g->Hk), tile = tiles - 1 - item / (g->B * g->Hk), b = pair / g->Hk, head = pair % g->Hk;
    long from = (b * g->room * g->Hk + head) * g->D;
    head_keys h = {g->k + from, g->v + from, g->Hk * g->D, g->room};
    columns c = take_columns(g, b, head, tile * COLUMNS);
    wanted next = {.out = query_rows(g, b, head, tile * COLUMNS, g->out)};
    attend(g, &c, &h, work, &next);
  }
}

/* Decoding: one query per sequence over many keys, read once and in order for all heads. Parts of PART keys each leave
   their maximum, sum and unnormalised output per head; the parts are joined in order. */
enum { PART = 128 };

enum { HEADS = 4, VALUES = 8, AHEAD = 4096 /* floats of keys that are on their way from memory */ };

/* lanes[h] = q_h x in LANES partial sums for `heads` queries that share the key x. */
static inline void score_heads(long D, const float *q, int heads, const float *x, float *lanes) {
  enum { NV = LANES / VW };
  vf s[HEADS][NV];
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
  for (; heads >= HEADS; heads -= HEADS, q += HEADS * D, lanes += HEADS * LANES) score_heads(D, q, HEADS, x, lanes);
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
  if (heads_cached(&g)) parallel_for(g.B * g.Hk, 1, attend_heads, &g);
  else parallel_for(g.B * g.Hk * tiles_of(&g), 1, attend_tiles, &g);
}
