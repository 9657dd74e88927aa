/* Gated linear attention (Yang et al. 2023): S_t = diag(e^{g_t}) S_{t-1} + k_t v_t^T,  o_t = S_t^T q_t, g <= 0 per key
   channel. Chunk form with G the running sum of g:
     A_ij = sum_c q_ic k_jc e^{G_ic - G_jc} (j <= i),  O = (Q e^G) S0 + A V,  S' = e^{G_n} S0 + (K e^{G_n - G})^T V.
   A is built by halving: for a row block and the column block before it, exponents are taken relative to G at the row
   block's first row, so both factors are e^{<= 0}; nothing overflows, and what underflows is zero in the sum too. */
#include "linear_attention.h"
#include "scalar.h"

typedef struct {
  float *Q, *K, *V, *G, *A, *X, *Y, *YT;
  long rows, n, dk;
} block;

/* X = Q e^{G - rho} on rows [s+half, s+2 half), Y = K e^{rho - G} on rows [s, s+half); rho = G at row s+half. */
static void scale_halves(const block *c, long s, long half) {
  const float *rho = c->G + (s + half) * c->dk;
  for (long i = 0; i < half; i++)
    for (long d = 0; d < c->dk; d++) {
      long lo = (s + i) * c->dk + d, hi = (s + half + i) * c->dk + d;
      c->X[i * c->dk + d] = c->Q[hi] * q_exp(c->G[hi] - rho[d]);
      c->Y[i * c->dk + d] = c->K[lo] * q_exp(rho[d] - c->G[lo]);
    }
}

static void scores(const block *c) {
  long dk = c->dk, n = c->n;
  memset(c->A, 0, CHUNK * CHUNK * sizeof(float));
  for (long i = 0; i < n; i++) c->A[i * CHUNK + i] = dot_fixed(c->Q + i * dk, c->K + i * dk, dk);
  for (long half = 1; half < n; half *= 2)
    for (long s = 0; s + half < n; s += 2 * half) {
      scale_halves(c, s, half);
      float *to = c->A + (s + half) * CHUNK + s;
      if (half >= 16) {
        transpose_small(half, dk, c->Y, dk, c->YT, half);
        small_gemm(half, half, dk, c->X, dk, 1, c->YT, half, to, CHUNK, 0);
      } else
        for (long i = 0; i < half; i++)
          for (long j = 0; j < half; j++) to[i * CHUNK + j] = dot_fixed(c->X + i * dk, c->Y + j * dk, dk);
    }
}

/* dQ_i += sum_j dA_ij k_j e^{G_i - G_j},  dK_j += sum_i dA_ij q_i e^{G_i - G_j}, by the same halving. */
static void scores_backward(const block *c, const float *dA, float *dQ, float *dK, float *work) {
  long dk = c->dk, n = c->n;
  for (long i = 0; i < n; i++)
    for (long d = 0; d < dk; d++) {
      float g = dA[i * CHUNK + i];
      dQ[i * dk + d] = q_fma(g, c->K[i * dk + d], dQ[i * dk + d]);
      dK[i * dk + d] = q_fma(g, c->Q[i * dk + d], dK[i * dk + d]);
    }
  for (long half = 1; half < n; half *= 2)
    for (long s = 0; s + half < n; s += 2 * half) {
      scale_halves(c, s, half);
      const float *rho = c->G + (s + half) * dk, *from = dA + (s + half) * CHUNK + s;
      float *row = work, *column = work + CHUNK * dk;
      if (half >= 16) {
        small_gemm(half, dk, half, from, CHUNK, 1, c->Y, dk, row, dk, 0);
        small_gemm(half, dk, half, from, 1, CHUNK, c->X, dk, column, dk, 0);
      } else {
        memset(row, 0, half * dk * sizeof(float));
        memset(column, 0, half * dk * sizeof(float));
        for (long i = 0; i < half; i++)
          for (long j = 0; j < half; j++) {
            float g = from[i * CHUNK + j];
            for (long d = 0; d < dk; d++) row[i * dk + d] = q_fma(g, c->Y[j * dk + d], row[i * dk + d]);
            for (long d = 0; d < dk; d++) column[j * dk + d] = q_fma(g, c->X[i * dk + d], column[j * dk + d]);
          }
      }
      for (long i = 0; i < half; i++)
        for (long d = 0; d < dk; d++) {
          long lo = (s + i) * dk + d, hi = (s + half + i) * dk + d;
          dQ[hi] = q_fma(row[i * dk + d], q_exp(c->G[hi] - rho[d]), dQ[hi]);
          dK[lo] = q_fma(column[i * dk + d], q_exp(rho[d] - c->G[lo]), dK[lo]);
        }
    }
}

/* Rows, running gate sums; padding rows repeat the last sum so that they stay harmless. n is a power of two >= 16. */
static void load_block(const recurrence *g, block *c, long b, long h, long t, long end) {
  long dk = g->dk;
  c->rows = end - t;
  for (c->n = 16; c->n < c->rows;) c->n *= 2;
  c->dk = dk;
  load_rows(g->q, g, b, h, t, c->rows, c->n, dk, c->Q);
  load_rows(g->k, g, b, h, t, c->rows, c->n, dk, c->K);
  load_rows(g->v, g, b, h, t, c->rows, c->n, g->dv, c->V);
  load_rows(g->gate, g, b, h, t, c->rows, c->n, dk, c->G);
  for (long i = 1; i < c->n; i++)
    for (long d = 0; d < dk; d++) c->G[i * dk + d] += c->G[(i - 1) * dk + d];
}

static block carve_block(float **at, long dk, long dv) {
  block c = {.Q = carve(at, CHUNK * dk), .K = carve(at, CHUNK * dk), .V = carve(at, CHUNK * dv), .G = carve(at, CHUNK * dk),
             .A = carve(at, CHUNK * CHUNK), .X = carve(at, CHUNK * dk), .Y = carve(at, CHUNK * dk), .YT = carve(at, CHUNK * dk)};
  return c;
}
static size_t block_bytes(long dk, long dv) {
  return sizeof(float) * (24 * 16 + 14 * CHUNK * (dk + dv) + 3 * CHUNK * CHUNK + 5 * dk * dv);
}

static void gla_steps(const recurrence *g, long b, long h, float *S) {
  long dk = g->dk, dv = g->dv;
  float *o = scratch(SCRATCH_KERNEL, dv * sizeof(float));
  for (long t = 0; t < g->T; t++) {
    long row = (b * g->T + t) * g->H + h;
    const float *q = g->q + row * dk, *k = g->k + row * dk, *v = g->v + row * dv, *gate = g->gate + row * dk;
    if (chunk_resets(g, b, t)) memset(S, 0, dk * dv * sizeof(float));
    for (long j = 0; j < dv; j++) o[j] = 0.0f;
    for (long i = 0; i < dk; i++) {
      float decay = q_exp(gate[i]);
      for (long j = 0; j < dv; j++) {
        float s = q_fma(k[i], v[j], decay * S[i * dv + j]);
        S[i * dv + j] = s;
        o[j] = q_fma(q[i], s, o[j]);
      }
    }
    memcpy(g->out + row * dv, o, dv * sizeof(float));
  }
}

/* X = Q e^G and Y = K e^{G_n - G}: the chunk seen from its start state and from its end state. */
static void scale_ends(const block *c) {
  const float *last = c->G + (c->n - 1) * c->dk;
  for (long i = 0; i < c->n; i++)
    for (long d = 0; d < c->dk; d++) {
      long at = i * c->dk + d;
      c->X[at] = c->Q[at] * q_exp(c->G[at]);
      c->Y[at] = c->K[at] * q_exp(last[d] - c->G[at]);
    }
}
static void decay_state(const block *c, long dv, float *S) {
  const float *last = c->G + (c->n - 1) * c->dk;
  for (long d = 0; d < c->dk; d++) {
    float decay = q_exp(last[d]);
    for (long j = 0; j < dv; j++) S[d * dv + j] *= decay;
  }
}

static void gla_heads(void *context, long begin, long end) {
  const recurrence *g = context;
  long dk = g->dk, dv = g->dv;
  for (long item = begin; item < end; item++) {
    long b = item / g->H, h = item % g->H;
    float *S = g->end + item * dk * dv;
    if (g->start) memcpy(S, g->start + item * dk * dv, dk * dv * sizeof(float));
    else memset(S, 0, dk * dv * sizeof(float));
    if (g->T < 16 && !g->saved) {
      gla_steps(g, b, h, S);
      continue;
    }
    float *at = scratch(SCRATCH_KERNEL, block_bytes(dk, dv));
    block c = carve_block(&at, dk, dv);
    float *O = carve(&at, CHUNK * dv);
    long index = 0;
    for (long t = 0, e; t < g->T; t = e) {
      e = chunk_end(g, b, t);
      if (chunk_resets(g, b, t)) memset(S, 0, dk * dv * sizeof(float));
      if (g->saved) memcpy(g->saved + (item * g->chunks + index++) * dk * dv, S, dk * dv * sizeof(float));
      load_block(g, &c, b, h, t, e);
      scores(&c);
      scale_ends(&c);
      small_gemm(c.n, dv, dk, c.X, dk, 1, S, dv, O, dv, 0);
      small_gemm(c.n, dv, c.n, c.A, CHUNK, 1, c.V, dv, O, dv, 1);
      store_rows(g->out, g, b, h, t, c.rows, dv, O);
      decay_state(&c, dv, S);
      small_gemm(dk, dv, c.rows, c.Y, 1, dk, c.V, dv, S, dv, 1);
    }
  }
}
/* p: out end saved? q k v gate[B,T,H,dk] start? position?; n: B T H dk dv chunks */
KERNEL(gla) {
  recurrence g = {.out = F(0), .end = F(1), .saved = F(2), .q = F(3), .k = F(4), .v = F(5), .gate = F(6), .start = F(7),
                  .position = I(8), .B = L(0), .T = L(1), .H = L(2), .dk = L(3), .dv = L(4), .chunks = L(5)};
  parallel_for(g.B * g.H, 1, gla_heads, &g);
}

static void gla_backward_heads(void *context, long begin, long end) {
  const recurrence *g = context;
  long dk = g->dk, dv = g->dv, size = dk * dv;
  for (long item = begin; item < end; item++) {
    long b = item / g->H, h = item % g->H;
    float *at = scratch(SCRATCH_KERNEL, block_bytes(dk, dv));
    block c = carve_block(&at, dk, dv);
    float *dA = carve(&at, CHUNK * CHUNK), *dO = carve(&at, CHUNK * dv), *VT = carve(&at, CHUNK * dv);
    float *dQ = carve(&at, CHUNK * dk), *dK = carve(&at, CHUNK * dk), *dV = carve(&at, CHUNK * dv);
    float *work = carve(&at, 2 * CHUNK * dk), *dG = carve(&at, CHUNK * dk);
    float *ST = carve(&at, size), *dST = carve(&at, size), *dS = carve(&at, size), *S1 = carve(&at, size);
    if (g->d_end) memcpy(dS, g->d_end + item * size, size * sizeof(float));
    else memset(dS, 0, size * sizeof(float));

    long starts[g->chunks + 1], count = 0;
    for (long t = 0; t < g->T; t = chunk_end(g, b, t)) starts[count++] = t;
    starts[count] = g->T;
    for (long index = count - 1; index >= 0; index--) {
      long t = starts[index];
      const float *S = g->saved + (item * g->chunks + index) * size;
      load_block(g, &c, b, h, t, starts[index + 1]);
      long n = c.n;
      scores(&c);
      load_rows(g->d_out, g, b, h, t, c.rows, n, dv, dO);
      transpose_small(dk, dv, S, dv, ST, dk);
      transpose_small(dk, dv, dS, dv, dST, dk);
      transpose_small(n, dv, c.V, dv, VT, CHUNK);
      small_gemm(n, n, dv, dO, dv, 1, VT, CHUNK, dA, CHUNK, 0);
      lower_triangle(dA, n, CHUNK, 0);

      scale_ends(&c);
      small_gemm(n, dv, n, c.A, 1, CHUNK, dO, dv, dV, dv, 0);       /* dV = A^T dO + (K e^{Gn-G}) dS' */
      small_gemm(n, dv, dk, c.Y, dk, 1, dS, dv, dV, dv, 1);
      small_gemm(n, dk, dv, dO, dv, 1, ST, dk, dQ, dk, 0);          /* dQ = e^G (dO S^T) + ... */
      small_gemm(n, dk, dv, c.V, dv, 1, dST, dk, dK, dk, 0);        /* dK = e^{Gn-G} (V dS'^T) + ... */
      const float *last = c.G + (n - 1) * dk;
      for (long i = 0; i < n; i++)
        for (long d = 0; d < dk; d++) {
          dQ[i * dk + d] *= q_exp(c.G[i * dk + d]);
          dK[i * dk + d] *= q_exp(last[d] - c.G[i * dk + d]);
        }
      memcpy(S1, S, size * sizeof(float));                          /* S', for the gradient of the last sum */
      decay_state(&c, dv, S1);
      small_gemm(dk, dv, c.rows, c.Y, 1, dk, c.V, dv, S1, dv, 1);
      float carry[dk];
      for (long d = 0; d < dk; d++) carry[d] = dot_fixed(S1 + d * dv, dS + d * dv, dv);
      decay_state(&c, dv, dS);                                      /* dS = e^{Gn} dS' + (Q e^G)^T dO */
      small_gemm(dk, dv, c.rows, c.X, 1, dk, dO, dv, dS, dv, 1);
      scores_backward(&c, dA, dQ, dK, work);

      for (long i = c.rows - 1; i >= 0; i--)                        /* dg = reverse running sum of q dq - k dk */
        for (long d = 0; d < dk; d++) {
          long x = i * dk + d;
          carry[d] += c.Q[x] * dQ[x] - c.K[x] * dK[x];
          dG[x] = carry[d];
        }
      store_rows(g->dq, g, b, h, t, c.rows, dk, dQ);
      store_rows(g->dk_out, g, b, h, t, c.rows, dk, dK);
      store_rows(g->dv_out, g, b, h, t, c.rows, dv, dV);
      store_rows(g->dgate, g, b, h, t, c.rows, dk, dG);
      if (chunk_resets(g, b, t)) memset(dS, 0, size * sizeof(float));
    }
    if (g->dstart) memcpy(g->dstart + item * size, dS, size * sizeof(float));
  }
}
/* p: dq dk dv dgate dstart? saved q k v gate position? dout dend?; n: B T H dk dv chunks */
KERNEL(gla_backward) {
  recurrence g = {.dq = F(0), .dk_out = F(1), .dv_out = F(2), .dgate = F(3), .dstart = F(4), .saved = F(5), .q = F(6),
                  .k = F(7), .v = F(8), .gate = F(9), .position = I(10), .d_out = F(11), .d_end = F(12),
                  .B = L(0), .T = L(1), .H = L(2), .dk = L(3), .dv = L(4), .chunks = L(5)};
  parallel_for(g.B * g.H, 1, gla_backward_heads, &g);
}
