#include "slot_attention.h"

/* A few tokens, one by one, on the states as they are stored: slots without a write are only read. */
static void slot_steps(const slots *g, long b, long h, float *K, float *V) {
  long M = g->M, dk = g->dk, dv = g->dv;
  float *p = scratch(SCRATCH_KERNEL, M * sizeof(float));
  for (long t = 0; t < g->T; t++) {
    const float *q = g->q + query_row(g, b, t, h) * dk, *k = g->k + key_row(g, b, t, h) * dk;
    const float *v = g->v + key_row(g, b, t, h) * dv, *gate = g->g + query_row(g, b, t, h) * M;
    float *o = g->out + query_row(g, b, t, h) * dv, top, total;
    if (slot_resets(g, b, t)) {
      memset(K, 0, M * dk * sizeof(float));
      memset(V, 0, M * dv * sizeof(float));
    }
    for (long m = 0; m < M; m++) {
      if (gate[m] != 0.0f) {
        float e = q_exp(gate[m]), s = -q_expm1(gate[m]);
        for (long d = 0; d < dk; d++) K[m * dk + d] = q_fma(s, k[d], e * K[m * dk + d]);
        for (long d = 0; d < dv; d++) V[m * dv + d] = q_fma(s, v[d], e * V[m * dv + d]);
      }
      p[m] = dot_fixed(K + m * dk, q, dk);
    }
    total = exp_row(p, M, &top);
    for (long d = 0; d < dv; d++) o[d] = 0.0f;
    for (long m = 0; m < M; m++) {
      float w = p[m] / total;
      for (long d = 0; d < dv; d++) o[d] = q_fma(w, V[m * dv + d], o[d]);
    }
  }
}

static void slot_heads(void *context, long begin, long end) {
  const slots *g = context;
  long M = g->M, dk = g->dk, dv = g->dv;
  for (long item = begin; item < end; item++) {
    long b = item / g->H, h = item % g->H, index = 0;
    float *K = g->end_k + item * M * dk, *V = g->end_v + item * M * dv;
    if (g->start_k) memcpy(K, g->start_k + item * M * dk, M * dk * sizeof(float));
    else memset(K, 0, M * dk * sizeof(float));
    if (g->start_v) memcpy(V, g->start_v + item * M * dv, M * dv * sizeof(float));
    else memset(V, 0, M * dv * sizeof(float));
    if (g->T < BLOCK && !g->saved_k) {
      slot_steps(g, b, h, K, V);
      continue;
    }
    float *at = scratch(SCRATCH_KERNEL, (block_floats(M, dk, dv) + M * dk + BLOCK * dv) * sizeof(float));
    block c = take_block(&at, M, dk, dv);
    float *KT = take(&at, M * dk), *O = take(&at, BLOCK * dv);
    transpose_small(M, dk, K, dk, KT, M);
    for (long t = 0, chunk; t < g->T; t = chunk) {
      chunk = slot_chunk_end(g, b, t);
      if (slot_resets(g, b, t)) {
        memset(KT, 0, M * dk * sizeof(float));
        memset(V, 0, M * dv * sizeof(float));
      }
      if (g->saved_k) {
        memcpy(g->saved_k + (item * g->chunks + index) * M * dk, KT, M * dk * sizeof(float));
        memcpy(g->saved_v + (item * g->chunks + index++) * M * dv, V, M * dv * sizeof(float));
      }
      for (long at = t; at < chunk; at += BLOCK) {
        load_block(g, b, h, at, MIN(BLOCK, chunk - at), &c);
        read_slots(&c, KT);
        small_gemm(BLOCK, dv, M, c.X, M, 1, V, dv, O, dv, 0);
        small_gemm(BLOCK, dv, c.n, c.C, BLOCK, 1, c.V, dv, O, dv, 1);
        spread(O, c.n, dv, g->out + query_row(g, b, at, h) * dv, g->H * dv);
        write_slots(&c, KT, V);
      }
    }
    transpose_small(dk, M, KT, M, K, dk);
  }
}
/* p: out[B,T,H,dv] end_k[B,H,M,dk] end_v[B,H,M,dv] saved_k?[B,H,chunks,dk,M] saved_v?[B,H,chunks,M,dv] q[B,T,H,dk]
   k[B,T,Hk,dk] v[B,T,Hk,dv] g[B,T,H,M] start_k? start_v? position?[B,T]; n: B T H Hk M dk dv chunks */
KERNEL(slot_attention) {
  slots g = {.out = F(0), .end_k = F(1), .end_v = F(2), .saved_k = F(3), .saved_v = F(4), .q = F(5), .k = F(6), .v = F(7),
             .g = F(8), .start_k = F(9), .start_v = F(10), .position = I(11), .B = L(0), .T = L(1), .H = L(2), .Hk = L(3),
             .M = L(4), .dk = L(5), .dv = L(6), .chunks = L(7)};
  parallel_for(g.B * g.H, 1, slot_heads, &g);
}
