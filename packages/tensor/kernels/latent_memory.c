#include "latent_memory.h"

/* The memory from piece to piece, and the rows of the segment that stays open. */
static void write_sequences(void *context, long begin, long end) {
  const memory *g = context;
  long K = g->K, D = g->D, size = K * D;
  float *at = scratch(SCRATCH_PACK_A, (2 * pad_to_16(D) + pad_to_16(K)) * sizeof(float));
  summary s = {.Z = take(&at, D), .address = take(&at, K), .strength = take(&at, D)};
  for (long b = begin; b < end; b++) {
    const long *starts = g->starts + b * (g->room + 1);
    float *M = g->end + b * size;
    memcpy(M, g->start ? g->start + b * size : g->initial, size * sizeof(float));
    for (long i = 0; i < g->room && starts[i] < g->T; i++) {
      if (position_of(g, b, starts[i]) == 0) memcpy(M, g->initial, size * sizeof(float));
      memcpy(g->states + (b * g->room + i) * size, M, size * sizeof(float));
      if (!completes(g, b, starts[i + 1])) continue;
      summarise(g, b, starts[i + 1] - 1, M, &s);
      for (long k = 0; k < K; k++)
        for (long d = 0; d < D; d++) M[k * D + d] = q_fma(s.address[k] * s.strength[d], s.Z[d] - M[k * D + d], M[k * D + d]);
    }
    float *open = g->end_open + b * (SEGMENT - 1) * (D + 1);
    if (g->T == 0 && g->open) memcpy(open, g->open + b * (SEGMENT - 1) * (D + 1), (SEGMENT - 1) * (D + 1) * sizeof(float));
    for (long r = 0; r < SEGMENT - 1 && (g->T > 0 || !g->open); r++) {
      float eta = -1.0f;
      int kept = g->T > 0 && r <= place_of(g, b, g->T - 1) && !completes(g, b, g->T);
      const float *row = kept ? segment_row(g, b, g->T - 1, r, &eta) : NULL;
      if (row) memcpy(open + r * (D + 1), row, D * sizeof(float));
      else memset(open + r * (D + 1), 0, D * sizeof(float));
      open[r * (D + 1) + D] = row ? eta : -1.0f;
    }
  }
}

static void read_pieces(void *context, long begin, long end) {
  const memory *g = context;
  long K = g->K, D = g->D;
  float *at = scratch(SCRATCH_PACK_A, (2 * SEGMENT * D + SEGMENT * K + K * D) * sizeof(float));
  float *Q = take(&at, SEGMENT * D), *C = take(&at, SEGMENT * D), *P = take(&at, SEGMENT * K), *MT = take(&at, K * D);
  for (long item = begin; item < end; item++) {
    long b = item / g->room, t = g->starts[b * (g->room + 1) + item % g->room];
    if (t >= g->T) continue;
    long n = g->starts[b * (g->room + 1) + item % g->room + 1] - t, padded = pad_to_16(n);
    const float *M = g->states + item * K * D;
    gather(g->q + (b * g->T + t) * D, D, n, padded, D, Q);
    if (n < 4) { /* decoding: one pass over M, no transposed copy */
      for (long i = 0; i < n; i++)
        for (long k = 0; k < K; k++) P[i * K + k] = dot_fixed(Q + i * D, M + k * D, D);
    } else {
      transpose_small(K, D, M, D, MT, K);
      small_gemm(padded, K, D, Q, D, 1, MT, K, P, K, 0);
    }
    for (long i = 0; i < n; i++) {
      for (long k = 0; k < K; k++) P[i * K + k] *= 2.0f;
      softmax_row(P + i * K, K);
    }
    if (n < 4) {
      memset(C, 0, n * D * sizeof(float));
      for (long k = 0; k < K; k++)
        for (long i = 0; i < n; i++)
          for (long d = 0; d < D; d++) C[i * D + d] = q_fma(P[i * K + k], M[k * D + d], C[i * D + d]);
    } else
      small_gemm(padded, D, K, P, K, 1, M, D, C, D, 0);
    spread(C, n, D, g->out + (b * g->T + t) * D, D);
  }
}

/* p: C[B,T,D] end[B,K,D] end_open[B,63,D+1] states[B,room,K,D] m[B,T,D] eta[B,T] Q[B,T,D] query[D] channels[D] temperature[1]
   initial[K,D] start? open? position?[B,T]; n: B T K D room */
KERNEL(latent_memory) {
  memory g = {.out = F(0), .end = F(1), .end_open = F(2), .states = F(3), .m = F(4), .eta = F(5), .q = F(6), .query = F(7),
              .channels = F(8), .temperature = F(9), .initial = F(10), .start = F(11), .open = F(12), .position = I(13),
              .B = L(0), .T = L(1), .K = L(2), .D = L(3), .room = L(4)};
  long *starts = scratch(SCRATCH_KERNEL, g.B * (g.room + 1) * sizeof(long) + 1);
  for (long b = 0; b < g.B; b++)
    for (long i = cut_pieces(&g, b, starts + b * (g.room + 1)); i <= g.room; i++) starts[b * (g.room + 1) + i] = g.T;
  g.starts = starts;
  parallel_for(g.B, 1, write_sequences, &g);
  parallel_for(g.B * g.room, 1, read_pieces, &g);
}
