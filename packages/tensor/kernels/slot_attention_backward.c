/* Gradients of slot attention: chunk by chunk from the end, states of a chunk's blocks recomputed from its saved start.
   The gradient of G (the running sum of g) is Z dZ + P dP - s ds per row, plus state times its gradient at the end. */
#include "slot_attention.h"

enum { BLOCKS = SLOT_CHUNK / BLOCK };

typedef struct {
  float *dKT, *dV;            /* gradients of the states, [dk,M] and [M,dv] */
  float *dO, *dOT, *VT;       /* [BLOCK,dv], [dv,BLOCK] */
  float *T, *U;               /* [max(M,dk),BLOCK] */
  float *dP, *dZ, *Y, *dR, *dS; /* [BLOCK,M]; Y = L dZ */
  float *D, *dA;              /* [BLOCK,BLOCK]: gradients of C (stored [j,i]) and A */
  float *dQ, *dK, *dVr;       /* [BLOCK, dk or dv] */
  float *carry, *left;        /* [M] */
} work;

static void softmax_backward(const block *c, const work *w) {
  long M = c->M;
  for (long i = 0; i < BLOCK; i++) {
    long x = i * M;
    float mean = dot_fixed(c->P + x, w->dP + x, M);
    for (long m = x; m < x + M; m++) {
      w->dZ[m] = c->P[m] * (w->dP[m] - mean);
      w->Y[m] = c->L[m] * w->dZ[m];
    }
  }
}

/* Both sums over pairs j <= i: dP_i += D_ij W_ij first, when dZ is not known yet; then dA_ij = dZ_i W_ij and
   dS_j += (dZ_i A_ij + D_ij P_i) e^(G_i - G_j). */
static void pairs_to_dP(const block *c, const work *w) {
  long M = c->M;
  for (long m = 0; m < M; m += LANES)
    for (long j = 0; j < c->n; j++) {
      float x[LANES];
      memcpy(x, c->S + j * M + m, sizeof x);
      for (long i = j; i < c->n; i++) {
        const float *e = c->E + i * M + m;
        float d = w->D[j * BLOCK + i], *dp = w->dP + i * M + m;
        if (i > j)
          for (int l = 0; l < LANES; l++) x[l] *= e[l];
        for (int l = 0; l < LANES; l++) dp[l] = q_fma(d, x[l], dp[l]);
      }
    }
}
static void pairs_to_dA_dS(const block *c, const work *w) {
  long M = c->M;
  float sums[BLOCK * BLOCK * LANES];
  memset(sums, 0, sizeof sums);
  for (long m = 0; m < M; m += LANES)
    for (long j = 0; j < c->n; j++) {
      float decay[LANES], ds[LANES];
      const float *s = c->S + j * M + m;
      for (int l = 0; l < LANES; l++) decay[l] = 1.0f, ds[l] = w->dS[j * M + m + l];
      for (long i = j; i < c->n; i++) {
        const float *e = c->E + i * M + m, *dz = w->dZ + i * M + m, *p = c->P + i * M + m;
        float a = c->A[i * BLOCK + j], d = w->D[j * BLOCK + i], *sum = sums + (i * BLOCK + j) * LANES;
        if (i > j)
          for (int l = 0; l < LANES; l++) decay[l] *= e[l];
        for (int l = 0; l < LANES; l++) sum[l] = q_fma(dz[l], s[l] * decay[l], sum[l]);
        for (int l = 0; l < LANES; l++) ds[l] = q_fma(q_fma(dz[l], a, d * p[l]), decay[l], ds[l]);
      }
      memcpy(w->dS + j * M + m, ds, sizeof ds);
    }
  for (long i = 0; i < BLOCK; i++) lane_sums(sums + i * BLOCK * LANES, w->dA + i * BLOCK);
}

/* One block: KT, V are the states at its start, KT1, V1 at its end. Turns dKT, dV from the end to the start. */
static void block_backward(const block *c, const work *w, const float *KT, const float *V, const float *KT1,
                           const float *V1) {
  long M = c->M, dk = c->dk, dv = c->dv;
  const float *last = c->L + (BLOCK - 1) * M;
  transpose_small(BLOCK, dv, w->dO, dv, w->dOT, BLOCK);
  transpose_small(BLOCK, dv, c->V, dv, w->VT, BLOCK);
  small_gemm(BLOCK, BLOCK, dv, c->V, dv, 1, w->dOT, BLOCK, w->D, BLOCK, 0);
  small_gemm(M, BLOCK, dv, V, dv, 1, w->dOT, BLOCK, w->T, BLOCK, 0);
  for (long i = 0; i < BLOCK; i++)
    for (long m = 0; m < M; m++) w->dP[i * M + m] = c->L[i * M + m] * w->T[m * BLOCK + i];
  pairs_to_dP(c, w);
  softmax_backward(c, w);

  small_gemm(BLOCK, M, dk, c->K, dk, 1, w->dKT, M, w->dR, M, 0); /* dR = K dK^T + V dV^T, dS = dR R / S */
  small_gemm(M, BLOCK, dv, w->dV, dv, 1, w->VT, BLOCK, w->T, BLOCK, 0);
  for (long m = 0; m < M; m++) w->left[m] = 1.0f;
  for (long j = BLOCK - 1; j >= 0; j--)
    for (long m = 0; m < M; m++) {
      w->dS[j * M + m] = (w->dR[j * M + m] + w->T[m * BLOCK + j]) * w->left[m];
      w->left[m] *= c->E[j * M + m];
    }
  pairs_to_dA_dS(c, w);

  transpose_small(BLOCK, M, w->Y, M, w->T, BLOCK); /* dQ = Y K + dA K_rows */
  small_gemm(dk, BLOCK, M, KT, M, 1, w->T, BLOCK, w->U, BLOCK, 0);
  transpose_small(dk, BLOCK, w->U, BLOCK, w->dQ, dk);
  small_gemm(BLOCK, dk, BLOCK, w->dA, BLOCK, 1, c->K, dk, w->dQ, dk, 1);
  transpose_small(BLOCK, M, c->R, M, w->T, BLOCK); /* dK = R dK_state + dA^T Q */
  small_gemm(dk, BLOCK, M, w->dKT, M, 1, w->T, BLOCK, w->U, BLOCK, 0);
  transpose_small(dk, BLOCK, w->U, BLOCK, w->dK, dk);
  small_gemm(BLOCK, dk, BLOCK, w->dA, 1, BLOCK, c->Q, dk, w->dK, dk, 1);
  small_gemm(BLOCK, dv, M, c->R, M, 1, w->dV, dv, w->dVr, dv, 0);
  small_gemm(BLOCK, dv, BLOCK, c->C, 1, BLOCK, w->dO, dv, w->dVr, dv, 1);

  memset(w->carry, 0, M * sizeof(float));
  for (long d = 0; d < dk; d++)
    for (long m = 0; m < M; m++) w->carry[m] = q_fma(KT1[d * M + m], w->dKT[d * M + m], w->carry[m]);
  for (long m = 0; m < M; m++) w->carry[m] += dot_fixed(V1 + m * dv, w->dV + m * dv, dv);
  for (long d = 0; d < dk; d++)
    for (long m = 0; m < M; m++) w->dKT[d * M + m] *= last[m];
  for (long m = 0; m < M; m++)
    for (long d = 0; d < dv; d++) w->dV[m * dv + d] *= last[m];
  small_gemm(dk, M, BLOCK, c->Q, 1, dk, w->Y, M, w->dKT, M, 1);
  small_gemm(M, dv, BLOCK, c->X, 1, M, w->dO, dv, w->dV, dv, 1);
}

/* dg of the block's rows: the reverse running sum of dG, and the part through s = 1 - e^g. */
static void gate_rows_backward(const slots *g, const block *c, const work *w, float *dg) {
  long M = c->M;
  for (long i = c->n - 1; i >= 0; i--)
    for (long m = 0; m < M; m++) {
      long x = i * M + m;
      w->carry[m] += q_fma(c->Z[x], w->dZ[x], c->P[x] * w->dP[x]) - c->S[x] * w->dS[x];
      dg[i * g->H * M + m] = q_fma(-c->E[x], w->dS[x], w->carry[m]);
    }
}

static void add_rows(const float *from, long rows, long width, float *x, long stride) {
  for (long i = 0; i < rows; i++)
    for (long d = 0; d < width; d++) x[i * stride + d] += from[i * width + d];
}

static void head_backward(const slots *g, long b, long h, block *c, const work *w, float *KTs, float *Vs, long *starts) {
  long M = g->M, dk = g->dk, dv = g->dv, item = b * g->H + h, count = 0, shared = h % (g->H / g->Hk);
  if (g->d_end_k) transpose_small(M, dk, g->d_end_k + item * M * dk, dk, w->dKT, M);
  else memset(w->dKT, 0, M * dk * sizeof(float));
  if (g->d_end_v) memcpy(w->dV, g->d_end_v + item * M * dv, M * dv * sizeof(float));
  else memset(w->dV, 0, M * dv * sizeof(float));
  for (long t = 0; t < g->T; t = slot_chunk_end(g, b, t)) starts[count++] = t;
  starts[count] = g->T;
  for (long index = count - 1; index >= 0; index--) {
    long first = starts[index], rows = starts[index + 1] - first, blocks = (rows + BLOCK - 1) / BLOCK;
    memcpy(KTs, g->saved_k + (item * g->chunks + index) * M * dk, M * dk * sizeof(float));
    memcpy(Vs, g->saved_v + (item * g->chunks + index) * M * dv, M * dv * sizeof(float));
    for (long i = 0; i < blocks; i++) {
      load_block(g, b, h, first + i * BLOCK, MIN(BLOCK, rows - i * BLOCK), c);
      memcpy(KTs + (i + 1) * M * dk, KTs + i * M * dk, M * dk * sizeof(float));
      memcpy(Vs + (i + 1) * M * dv, Vs + i * M * dv, M * dv * sizeof(float));
      write_slots(c, KTs + (i + 1) * M * dk, Vs + (i + 1) * M * dv);
    }
    for (long i = blocks - 1; i >= 0; i--) {
      long t = first + i * BLOCK, n = MIN(BLOCK, rows - i * BLOCK);
      const float *KT = KTs + i * M * dk, *V = Vs + i * M * dv;
      if (i < blocks - 1) load_block(g, b, h, t, n, c);
      read_slots(c, KT);
      gather(g->d_out + query_row(g, b, t, h) * dv, g->H * dv, n, BLOCK, dv, w->dO);
      block_backward(c, w, KT, V, KT + M * dk, V + M * dv);
      gate_rows_backward(g, c, w, g->dg + query_row(g, b, t, h) * M);
      spread(w->dQ, n, dk, g->dq + query_row(g, b, t, h) * dk, g->H * dk);
      (shared ? add_rows : spread)(w->dK, n, dk, g->dk_out + key_row(g, b, t, h) * dk, g->Hk * dk);
      (shared ? add_rows : spread)(w->dVr, n, dv, g->dv_out + key_row(g, b, t, h) * dv, g->Hk * dv);
    }
    if (slot_resets(g, b, first)) {
      memset(w->dKT, 0, M * dk * sizeof(float));
      memset(w->dV, 0, M * dv * sizeof(float));
    }
  }
  if (g->dstart_k) transpose_small(dk, M, w->dKT, M, g->dstart_k + item * M * dk, dk);
  if (g->dstart_v) memcpy(g->dstart_v + item * M * dv, w->dV, M * dv * sizeof(float));
}

/* A task is one key head: the query heads that share it add to dk and dv in order. */
static void slot_backward_heads(void *context, long begin, long end) {
  const slots *g = context;
  long M = g->M, dk = g->dk, dv = g->dv, tall = MAX(M, dk), group = g->H / g->Hk;
  long *starts = scratch(SCRATCH_PACK_A, (g->chunks + 1) * sizeof(long));
  float *at = scratch(SCRATCH_KERNEL, (block_floats(M, dk, dv) + (BLOCKS + 2) * M * (dk + dv) +
                                       BLOCK * (3 * dv + 2 * tall + 5 * M + 2 * BLOCK + 2 * dk + dv) + 2 * M) * sizeof(float));
  block c = take_block(&at, M, dk, dv);
  work w = {.dKT = take(&at, M * dk), .dV = take(&at, M * dv), .dO = take(&at, BLOCK * dv), .dOT = take(&at, BLOCK * dv),
            .VT = take(&at, BLOCK * dv), .T = take(&at, BLOCK * tall), .U = take(&at, BLOCK * tall), .dP = take(&at, BLOCK * M),
            .dZ = take(&at, BLOCK * M), .Y = take(&at, BLOCK * M), .dR = take(&at, BLOCK * M), .dS = take(&at, BLOCK * M),
            .D = take(&at, BLOCK * BLOCK), .dA = take(&at, BLOCK * BLOCK), .dQ = take(&at, BLOCK * dk),
            .dK = take(&at, BLOCK * dk), .dVr = take(&at, BLOCK * dv), .carry = take(&at, M), .left = take(&at, M)};
  float *KTs = take(&at, (BLOCKS + 1) * M * dk), *Vs = take(&at, (BLOCKS + 1) * M * dv);
  for (long item = begin; item < end; item++)
    for (long h = 0; h < group; h++)
      head_backward(g, item / g->Hk, item % g->Hk * group + h, &c, &w, KTs, Vs, starts);
}
/* p: dq dk dv dg dstart_k? dstart_v? saved_k saved_v q k v g position? dout dend_k? dend_v?; n: B T H Hk M dk dv chunks */
KERNEL(slot_attention_backward) {
  slots g = {.dq = F(0), .dk_out = F(1), .dv_out = F(2), .dg = F(3), .dstart_k = F(4), .dstart_v = F(5), .saved_k = F(6),
             .saved_v = F(7), .q = F(8), .k = F(9), .v = F(10), .g = F(11), .position = I(12), .d_out = F(13), .d_end_k = F(14),
             .d_end_v = F(15), .B = L(0), .T = L(1), .H = L(2), .Hk = L(3), .M = L(4), .dk = L(5), .dv = L(6), .chunks = L(7)};
  parallel_for(g.B * g.Hk, 1, slot_backward_heads, &g);
}
