/* Gradients of latent memory: reads piece by piece in any order, then the chain of writes from the end. Nothing flows into
   rows that were carried in: their block is over. */
#include "latent_memory.h"

/* dQ, and the gradient of the memory that the piece read into dread [B,room,K,D]. */
static void read_backward_pieces(void *context, long begin, long end) {
  const memory *g = context;
  long K = g->K, D = g->D;
  float *at = scratch(SCRATCH_PACK_A, (3 * SEGMENT * D + 2 * SEGMENT * K + K * D) * sizeof(float));
  float *Q = take(&at, SEGMENT * D), *dC = take(&at, SEGMENT * D), *dQ = take(&at, SEGMENT * D), *P = take(&at, SEGMENT * K);
  float *dP = take(&at, SEGMENT * K), *MT = take(&at, K * D);
  for (long item = begin; item < end; item++) {
    long b = item / g->room, t = g->starts[b * (g->room + 1) + item % g->room];
    if (t >= g->T) continue;
    long n = g->starts[b * (g->room + 1) + item % g->room + 1] - t, padded = pad_to_16(n);
    const float *M = g->states + item * K * D;
    gather(g->q + (b * g->T + t) * D, D, n, padded, D, Q);
    gather(g->d_out + (b * g->T + t) * D, D, n, padded, D, dC);
    transpose_small(K, D, M, D, MT, K);
    small_gemm(padded, K, D, Q, D, 1, MT, K, P, K, 0);
    small_gemm(padded, K, D, dC, D, 1, MT, K, dP, K, 0);
    for (long i = 0; i < padded; i++) {
      float *p = P + i * K, *d = dP + i * K;
      for (long k = 0; k < K; k++) p[k] *= 2.0f;
      softmax_row(p, K);
      float mean = dot_fixed(p, d, K);
      for (long k = 0; k < K; k++) d[k] = 2.0f * p[k] * (d[k] - mean);
    }
    small_gemm(padded, D, K, dP, K, 1, M, D, dQ, D, 0);
    spread(dQ, n, D, g->dq + (b * g->T + t) * D, D);
    small_gemm(K, D, padded, dP, 1, K, Q, D, g->dread + item * K * D, D, 0);
    small_gemm(K, D, padded, P, 1, K, dC, D, g->dread + item * K * D, D, 1);
  }
}

/* Sums of one sequence: gradients of the initial memory [K,D], the summary query [D], channels [D], temperature. */
typedef struct {
  float *initial, *query, *channels, *temperature;
} sums;

static long sums_floats(const memory *g) { return g->K * g->D + 2 * g->D + 1; }
static sums sums_of(const memory *g, long b) {
  float *at = g->parts + b * sums_floats(g), *query = at + g->K * g->D;
  return (sums){at, query, query + g->D, query + 2 * g->D};
}

/* dM becomes the gradient of the memory before the segment that ends with token `last`; work holds 3 D + 2 K floats. */
static void write_backward(const memory *g, long b, long last, const float *M, summary *s, const sums *sum, float *dM,
                           float *work) {
  long K = g->K, D = g->D;
  float *dZ = work, *dstrength = work + D, *pull = work + 2 * D, *da = work + 3 * D, *logit = da + K;
  float root = 1.0f / __builtin_sqrtf((float)D), scale = root * q_exp(g->temperature[0]), deta = 0.0f, dtemperature = 0.0f;
  summarise(g, b, last, M, s);
  memset(dZ, 0, 2 * D * sizeof(float));
  for (long k = 0; k < K; k++) {
    const float *row = M + k * D;
    float *d_row = dM + k * D, a = s->address[k];
    logit[k] = scale * dot_fixed(s->Z, row, D);
    for (long d = 0; d < D; d++) pull[d] = s->strength[d] * (s->Z[d] - row[d]);
    da[k] = dot_fixed(d_row, pull, D);
    for (long d = 0; d < D; d++) {
      float x = a * d_row[d];
      dstrength[d] = q_fma(x, s->Z[d] - row[d], dstrength[d]);
      dZ[d] = q_fma(x, s->strength[d], dZ[d]);
      d_row[d] = q_fma(-x, s->strength[d], d_row[d]);
    }
  }
  float mean = dot_fixed(s->address, da, K);
  for (long k = 0; k < K; k++) {
    float dx = s->address[k] * (da[k] - mean);
    dtemperature = q_fma(dx, logit[k], dtemperature);
    for (long d = 0; d < D; d++) {
      dZ[d] = q_fma(scale * dx, M[k * D + d], dZ[d]);
      dM[k * D + d] = q_fma(scale * dx, s->Z[d], dM[k * D + d]);
    }
  }
  *sum->temperature += dtemperature;
  for (long d = 0; d < D; d++) {
    float gate = q_sigmoid(g->channels[d]);
    deta = q_fma(dstrength[d], gate, deta);
    sum->channels[d] = q_fma(dstrength[d] * s->eta, gate * (1.0f - gate), sum->channels[d]);
  }

  float dweight[SEGMENT] = {0}, eta, total = 0.0f;
  for (long r = 0; r < SEGMENT; r++) {
    const float *row = segment_row(g, b, last, r, &eta);
    if (row) dweight[r] = dot_fixed(dZ, row, D);
    total = q_fma(s->weight[r], dweight[r], total);
  }
  for (long r = 0; r < SEGMENT; r++) {
    const float *row = segment_row(g, b, last, r, &eta);
    long t = last - (SEGMENT - 1) + r;
    float du = root * s->weight[r] * (dweight[r] - total);
    if (row)
      for (long d = 0; d < D; d++) sum->query[d] = q_fma(du, row[d], sum->query[d]);
    if (t < 0) continue;
    float *dm = g->dm + (b * g->T + t) * D;
    for (long d = 0; d < D; d++) dm[d] = q_fma(du, g->query[d], s->weight[r] * dZ[d]);
    if (r == s->strongest) g->deta[b * g->T + t] = deta;
  }
}

static void write_backward_sequences(void *context, long begin, long end) {
  const memory *g = context;
  long K = g->K, D = g->D, size = K * D;
  float *at = scratch(SCRATCH_PACK_A, (6 * pad_to_16(D) + 3 * pad_to_16(K) + pad_to_16(size)) * sizeof(float));
  summary s = {.Z = take(&at, D), .address = take(&at, K), .strength = take(&at, D)};
  float *work = take(&at, 3 * D + 2 * K), *dM = take(&at, size);
  for (long b = begin; b < end; b++) {
    const long *starts = g->starts + b * (g->room + 1);
    sums sum = sums_of(g, b);
    memset(sum.initial, 0, sums_floats(g) * sizeof(float));
    memset(g->dm + b * g->T * D, 0, g->T * D * sizeof(float));
    memset(g->deta + b * g->T, 0, g->T * sizeof(float));
    if (g->d_end) memcpy(dM, g->d_end + b * size, size * sizeof(float));
    else memset(dM, 0, size * sizeof(float));
    for (long i = g->room - 1; i >= 0; i--) {
      if (starts[i] >= g->T) continue;
      const float *M = g->states + (b * g->room + i) * size, *dread = g->dread + (b * g->room + i) * size;
      if (completes(g, b, starts[i + 1])) write_backward(g, b, starts[i + 1] - 1, M, &s, &sum, dM, work);
      for (long x = 0; x < size; x++) dM[x] += dread[x];
      if (position_of(g, b, starts[i]) != 0) continue;
      for (long x = 0; x < size; x++) sum.initial[x] += dM[x];
      memset(dM, 0, size * sizeof(float));
    }
    if (g->dstart) memcpy(g->dstart + b * size, dM, size * sizeof(float));
    else
      for (long x = 0; x < size; x++) sum.initial[x] += dM[x];
  }
}

static void add_parts(const memory *g, const float *from, float *to, long count) {
  memset(to, 0, count * sizeof(float));
  for (long b = 0; b < g->B; b++)
    for (long x = 0; x < count; x++) to[x] += from[b * sums_floats(g) + x];
}

/* p: dm deta dQ dquery dchannels dtemperature dinitial dstart? states m eta Q query channels temperature open? position? dC
   dend? dread[B,room,K,D]; n: B T K D room */
KERNEL(latent_memory_backward) {
  memory g = {.dm = F(0), .deta = F(1), .dq = F(2), .dquery = F(3), .dchannels = F(4), .dtemperature = F(5), .dinitial = F(6),
              .dstart = F(7), .states = F(8), .m = F(9), .eta = F(10), .q = F(11), .query = F(12), .channels = F(13),
              .temperature = F(14), .open = F(15), .position = I(16), .d_out = F(17), .d_end = F(18), .dread = F(19),
              .B = L(0), .T = L(1), .K = L(2), .D = L(3), .room = L(4)};
  long cuts = g.B * (g.room + 1);
  long *starts = scratch(SCRATCH_KERNEL, cuts * sizeof(long) + g.B * sums_floats(&g) * sizeof(float) + 1);
  for (long b = 0; b < g.B; b++)
    for (long i = cut_pieces(&g, b, starts + b * (g.room + 1)); i <= g.room; i++) starts[b * (g.room + 1) + i] = g.T;
  g.starts = starts;
  g.parts = (float *)(starts + cuts);
  parallel_for(g.B * g.room, 1, read_backward_pieces, &g);
  parallel_for(g.B, 1, write_backward_sequences, &g);
  sums first = sums_of(&g, 0);
  add_parts(&g, first.initial, g.dinitial, g.K * g.D);
  add_parts(&g, first.query, g.dquery, g.D);
  add_parts(&g, first.channels, g.dchannels, g.D);
  add_parts(&g, first.temperature, g.dtemperature, 1);
}
