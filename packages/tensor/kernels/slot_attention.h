/* Slot attention (gated slot attention, Zhang et al. 2024; Raven), architecture §3.7. Per head, with M slots:
     K_t = diag(e^g_t) K_{t-1} + s_t k_t^T,  V_t = diag(e^g_t) V_{t-1} + s_t v_t^T,  s = 1 - e^g,
     o_t = V_t^T softmax(K_t q_t).
   Blocks of 16 tokens: with L_i the product of e^g up to row i, W_ij = s_j e^(G_i - G_j) and R_j = W_(last)j,
     Z_i = L_i (K q_i) + sum_j (q_i k_j) W_ij,  P = softmax(Z),  o_i = V^T (L_i P_i) + sum_j (P_i W_ij) v_j,
   and the states at the end are L_last K + R^T (keys), L_last V + R^T (values). All decays are products of numbers <= 1,
   so nothing overflows. K is held transposed, [dk, M]. */
#ifndef SLOT_ATTENTION_H
#define SLOT_ATTENTION_H
#include "rows.h"

enum { SLOT_CHUNK = 64, BLOCK = 16 };

typedef struct {
  long B, T, H, Hk, M, dk, dv, chunks; /* chunks: room per head in saved_k [B,H,chunks,dk,M] and saved_v [..,M,dv] */
  const float *q, *k, *v, *g, *start_k, *start_v, *d_out, *d_end_k, *d_end_v;
  const int32_t *position;
  float *out, *end_k, *end_v, *saved_k, *saved_v;
  float *dq, *dk_out, *dv_out, *dg, *dstart_k, *dstart_v;
} slots;

/* Up to BLOCK tokens of one head; rows past the last hold zero inputs and leave the states alone. */
typedef struct {
  long n, M, dk, dv;
  float *Q, *K, *V;             /* [BLOCK, dk or dv] */
  float *E, *S, *L, *R;         /* [BLOCK, M]: e^g, s, L, R */
  float *A, *C;                 /* [BLOCK, BLOCK]: q_i k_j and P_i W_ij, j <= i */
  float *Z, *P, *X;             /* [BLOCK, M]: Z, P, L P */
  float *KT;                    /* [dk, BLOCK] */
} block;

static inline long block_floats(long M, long dk, long dv) { return BLOCK * (3 * dk + dv + 7 * M) + 2 * BLOCK * BLOCK; }
static inline block take_block(float **at, long M, long dk, long dv) {
  block c = {.M = M, .dk = dk, .dv = dv, .Q = take(at, BLOCK * dk), .K = take(at, BLOCK * dk), .V = take(at, BLOCK * dv),
             .E = take(at, BLOCK * M), .S = take(at, BLOCK * M), .L = take(at, BLOCK * M), .R = take(at, BLOCK * M),
             .A = take(at, BLOCK * BLOCK), .C = take(at, BLOCK * BLOCK), .Z = take(at, BLOCK * M), .P = take(at, BLOCK * M),
             .X = take(at, BLOCK * M), .KT = take(at, BLOCK * dk)};
  return c;
}

static inline long query_row(const slots *g, long b, long t, long h) { return (b * g->T + t) * g->H + h; }
static inline long key_row(const slots *g, long b, long t, long h) { return (b * g->T + t) * g->Hk + h / (g->H / g->Hk); }

/* A chunk ends at SLOT_CHUNK rows, at the end, or where a new segment (position 0) begins. */
static inline long slot_chunk_end(const slots *g, long b, long t) {
  long end = MIN(t + SLOT_CHUNK, g->T);
  if (g->position)
    for (long i = t + 1; i < end; i++)
      if (g->position[b * g->T + i] == 0) return i;
  return end;
}
static inline int slot_resets(const slots *g, long b, long t) { return g->position && g->position[b * g->T + t] == 0; }

static inline void load_block(const slots *g, long b, long h, long t, long n, block *c) {
  long M = c->M;
  c->n = n;
  gather(g->q + query_row(g, b, t, h) * c->dk, g->H * c->dk, n, BLOCK, c->dk, c->Q);
  gather(g->k + key_row(g, b, t, h) * c->dk, g->Hk * c->dk, n, BLOCK, c->dk, c->K);
  gather(g->v + key_row(g, b, t, h) * c->dv, g->Hk * c->dv, n, BLOCK, c->dv, c->V);
  gather(g->g + query_row(g, b, t, h) * M, g->H * M, n, BLOCK, M, c->E);
  for (long x = 0; x < BLOCK * M; x++) {
    c->S[x] = -q_expm1(c->E[x]);
    c->E[x] = q_exp(c->E[x]);
  }
  memcpy(c->L, c->E, M * sizeof(float));
  for (long x = M; x < BLOCK * M; x++) c->L[x] = c->L[x - M] * c->E[x];
  float *left = c->X; /* the product of e^g of later rows */
  for (long m = 0; m < M; m++) left[m] = 1.0f;
  for (long i = BLOCK - 1; i >= 0; i--)
    for (long m = 0; m < M; m++) {
      c->R[i * M + m] = c->S[i * M + m] * left[m];
      left[m] *= c->E[i * M + m];
    }
}

/* From the state at the block's start to A, Z, P, C and X = L P. */
static inline void read_slots(block *c, const float *KT) {
  long M = c->M;
  transpose_small(BLOCK, c->dk, c->K, c->dk, c->KT, BLOCK);
  small_gemm(BLOCK, BLOCK, c->dk, c->Q, c->dk, 1, c->KT, BLOCK, c->A, BLOCK, GEMM_SET);
  small_gemm(BLOCK, M, c->dk, c->Q, c->dk, 1, KT, M, c->Z, M, 0);
  for (long x = 0; x < BLOCK * M; x++) c->Z[x] *= c->L[x];
  for (long m = 0; m < M; m += LANES)
    for (long j = 0; j < c->n; j++) {
      float w[LANES];
      memcpy(w, c->S + j * M + m, sizeof w);
      for (long i = j; i < c->n; i++) {
        float a = c->A[i * BLOCK + j], *z = c->Z + i * M + m;
        const float *e = c->E + i * M + m;
        if (i > j)
          for (int l = 0; l < LANES; l++) w[l] *= e[l];
        for (int l = 0; l < LANES; l++) z[l] = q_fma(a, w[l], z[l]);
      }
    }
  for (long i = 0; i < BLOCK; i++) {
    float *p = c->P + i * M;
    memcpy(p, c->Z + i * M, M * sizeof(float));
    softmax_row(p, M);
    for (long m = 0; m < M; m++) c->X[i * M + m] = p[m] * c->L[i * M + m];
  }
  float lanes[BLOCK * BLOCK * LANES];
  memset(lanes, 0, sizeof lanes);
  for (long m = 0; m < M; m += LANES)
    for (long j = 0; j < c->n; j++) {
      float w[LANES];
      memcpy(w, c->S + j * M + m, sizeof w);
      for (long i = j; i < c->n; i++) {
        float *sum = lanes + (i * BLOCK + j) * LANES;
        const float *e = c->E + i * M + m, *p = c->P + i * M + m;
        if (i > j)
          for (int l = 0; l < LANES; l++) w[l] *= e[l];
        for (int l = 0; l < LANES; l++) sum[l] = q_fma(p[l], w[l], sum[l]);
      }
    }
  for (long i = 0; i < BLOCK; i++) lane_sums(lanes + i * BLOCK * LANES, c->C + i * BLOCK);
}

/* The states after the block. A slot whose g is 0 in every row keeps its bits: it is multiplied by 1, and 0 is added. */
static inline void write_slots(const block *c, float *KT, float *V) {
  long M = c->M;
  const float *last = c->L + (BLOCK - 1) * M;
  for (long d = 0; d < c->dk; d++)
    for (long m = 0; m < M; m++) KT[d * M + m] *= last[m];
  for (long m = 0; m < M; m++)
    for (long d = 0; d < c->dv; d++) V[m * c->dv + d] *= last[m];
  small_gemm(c->dk, M, c->n, c->K, 1, c->dk, c->R, M, KT, M, 1);
  small_gemm(M, c->dv, c->n, c->R, 1, M, c->V, c->dv, V, c->dv, 1);
}
#endif
