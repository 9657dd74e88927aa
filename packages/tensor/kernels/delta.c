/* Exact delta rule, the recurrence of Quasar attention (architecture: exact zero-order hold, sections 3.5.2-3.5.7):
     S_t = S_{t-1} + alpha_t k_t (v_t - S_{t-1}^T k_t)^T,   o_t = S_t^T q_t
   in chunk form: M = I + strict_lower(diag(alpha) K K^T), D = M^{-1} diag(alpha) (V - K S0),
     O = Q S0 + lower(Q K^T) D,  S' = S0 + K^T D.
   The triangular system is solved by forward substitution only. Backward recomputes each chunk from its saved start. */
#include "linear_attention.h"

/* D <- (I + lower)^{-1} D in place, where lower[i,j] (j < i) multiplies row j: 16-row blocks, then substitution. */
static void solve_lower(long n, long width, const float *lower, float *D) {
  float block[16 * 256];
  for (long i = 0; i < n; i += 16) {
    for (long w = 0; w < width; w += 256) {
      long step = MIN(256, width - w);
      if (i > 0) {
        small_gemm(16, step, i, lower + i * CHUNK, CHUNK, 1, D + w, width, block, step, 0);
        for (long r = 0; r < 16; r++)
          for (long c = 0; c < step; c++) D[(i + r) * width + w + c] -= block[r * step + c];
      }
    }
    for (long r = 1; r < 16; r++)
      for (long j = 0; j < r; j++) {
        float m = -lower[(i + r) * CHUNK + i + j];
        for (long c = 0; c < width; c++) D[(i + r) * width + c] = q_fma(m, D[(i + j) * width + c], D[(i + r) * width + c]);
      }
  }
}

/* D <- (I + lower)^{-T} D in place: the same from the last row up. `upper` is lower transposed. */
static void solve_transposed(long n, long width, const float *upper, float *D) {
  float block[16 * 256];
  for (long i = n - 16; i >= 0; i -= 16) {
    for (long w = 0; w < width; w += 256) {
      long step = MIN(256, width - w), rest = n - i - 16;
      if (rest > 0) {
        small_gemm(16, step, rest, upper + i * CHUNK + i + 16, CHUNK, 1, D + (i + 16) * width + w, width, block, step, 0);
        for (long r = 0; r < 16; r++)
          for (long c = 0; c < step; c++) D[(i + r) * width + w + c] -= block[r * step + c];
      }
    }
    for (long r = 14; r >= 0; r--)
      for (long j = r + 1; j < 16; j++) {
        float m = -upper[(i + r) * CHUNK + i + j];
        for (long c = 0; c < width; c++) D[(i + r) * width + c] = q_fma(m, D[(i + j) * width + c], D[(i + r) * width + c]);
      }
  }
}

typedef struct {
  float *Q, *K, *V, *E, *D, *KT, *lower, *alpha; /* E = V - K S0 */
  long rows, n;
} chunk;

/* Loads the chunk and computes E, D and lower = strict_lower(diag(alpha) K K^T). */
static void solve_chunk(const recurrence *g, chunk *c, long b, long h, long t, long end, const float *S) {
  long dk = g->dk, dv = g->dv;
  c->rows = end - t;
  c->n = pad16(c->rows);
  load_rows(g->q, g, b, h, t, c->rows, c->n, dk, c->Q);
  load_rows(g->k, g, b, h, t, c->rows, c->n, dk, c->K);
  load_rows(g->v, g, b, h, t, c->rows, c->n, dv, c->V);
  load_rows(g->gate, g, b, h, t, c->rows, c->n, 1, c->alpha);
  transpose_small(c->n, dk, c->K, dk, c->KT, CHUNK);
  small_gemm(c->n, c->n, dk, c->K, dk, 1, c->KT, CHUNK, c->lower, CHUNK, 0);
  lower_triangle(c->lower, c->n, CHUNK, 1);
  small_gemm(c->n, dv, dk, c->K, dk, 1, S, dv, c->E, dv, 0);
  for (long i = 0; i < c->n; i++) {
    float al = c->alpha[i];
    for (long j = 0; j < i; j++) c->lower[i * CHUNK + j] *= al;
    for (long j = 0; j < dv; j++) {
      float e = c->V[i * dv + j] - c->E[i * dv + j];
      c->E[i * dv + j] = e;
      c->D[i * dv + j] = al * e;
    }
  }
  solve_lower(c->n, dv, c->lower, c->D);
}

static chunk carve_chunk(float **at, long dk, long dv) {
  chunk c = {.Q = carve(at, CHUNK * dk), .K = carve(at, CHUNK * dk), .V = carve(at, CHUNK * dv), .E = carve(at, CHUNK * dv),
             .D = carve(at, CHUNK * dv), .KT = carve(at, CHUNK * dk), .lower = carve(at, CHUNK * CHUNK), .alpha = carve(at, CHUNK)};
  return c;
}
static size_t chunk_bytes(long dk, long dv) {
  return sizeof(float) * (24 * 16 + 12 * CHUNK * (dk + dv) + 8 * CHUNK * CHUNK + 6 * dk * dv);
}

/* Token by token, for blocks too short to fill a chunk (decoding). */
static void delta_steps(const recurrence *g, long b, long h, float *S) {
  long dk = g->dk, dv = g->dv;
  float *r = scratch(SCRATCH_KERNEL, 2 * dv * sizeof(float)), *o = r + dv;
  for (long t = 0; t < g->T; t++) {
    long row = (b * g->T + t) * g->H + h;
    const float *q = g->q + row * dk, *k = g->k + row * dk, *v = g->v + row * dv;
    float alpha = g->gate[row];
    if (chunk_resets(g, b, t)) memset(S, 0, dk * dv * sizeof(float));
    for (long j = 0; j < dv; j++) r[j] = 0.0f;
    for (long i = 0; i < dk; i++)
      for (long j = 0; j < dv; j++) r[j] = q_fma(k[i], S[i * dv + j], r[j]);
    for (long j = 0; j < dv; j++) {
      r[j] = alpha * (v[j] - r[j]);
      o[j] = 0.0f;
    }
    for (long i = 0; i < dk; i++)
      for (long j = 0; j < dv; j++) {
        float s = q_fma(k[i], r[j], S[i * dv + j]);
        S[i * dv + j] = s;
        o[j] = q_fma(q[i], s, o[j]);
      }
    memcpy(g->out + row * dv, o, dv * sizeof(float));
  }
}

static void delta_heads(void *context, long begin, long end) {
  const recurrence *g = context;
  long dk = g->dk, dv = g->dv;
  for (long item = begin; item < end; item++) {
    long b = item / g->H, h = item % g->H;
    float *S = g->end + item * dk * dv;
    if (g->start) memcpy(S, g->start + item * dk * dv, dk * dv * sizeof(float));
    else memset(S, 0, dk * dv * sizeof(float));
    if (g->T < 16 && !g->saved) {
      delta_steps(g, b, h, S);
      continue;
    }
    float *at = scratch(SCRATCH_KERNEL, chunk_bytes(dk, dv));
    chunk c = carve_chunk(&at, dk, dv);
    float *P = carve(&at, CHUNK * CHUNK), *O = carve(&at, CHUNK * dv);
    long index = 0;
    for (long t = 0, e; t < g->T; t = e) {
      e = chunk_end(g, b, t);
      if (chunk_resets(g, b, t)) memset(S, 0, dk * dv * sizeof(float));
      if (g->saved) memcpy(g->saved + (item * g->chunks + index++) * dk * dv, S, dk * dv * sizeof(float));
      solve_chunk(g, &c, b, h, t, e, S);
      small_gemm(c.n, c.n, dk, c.Q, dk, 1, c.KT, CHUNK, P, CHUNK, 0);
      lower_triangle(P, c.n, CHUNK, 0);
      small_gemm(c.n, dv, dk, c.Q, dk, 1, S, dv, O, dv, 0);
      small_gemm(c.n, dv, c.n, P, CHUNK, 1, c.D, dv, O, dv, 1);
      store_rows(g->out, g, b, h, t, c.rows, dv, O);
      small_gemm(dk, dv, c.rows, c.K, 1, dk, c.D, dv, S, dv, 1);
    }
  }
}
/* p: out end[B,H,dk,dv] saved? q[B,T,H,dk] k v[B,T,H,dv] alpha[B,T,H] start? position?[B,T]; n: B T H dk dv chunks */
KERNEL(delta_rule) {
  recurrence g = {.out = F(0), .end = F(1), .saved = F(2), .q = F(3), .k = F(4), .v = F(5), .gate = F(6), .start = F(7),
                  .position = I(8), .B = L(0), .T = L(1), .H = L(2), .dk = L(3), .dv = L(4), .chunks = L(5)};
  parallel_for(g.B * g.H, 1, delta_heads, &g);
}

static void delta_backward_heads(void *context, long begin, long end) {
  const recurrence *g = context;
  long dk = g->dk, dv = g->dv, size = dk * dv;
  for (long item = begin; item < end; item++) {
    long b = item / g->H, h = item % g->H;
    float *at = scratch(SCRATCH_KERNEL, chunk_bytes(dk, dv));
    chunk c = carve_chunk(&at, dk, dv);
    float *P = carve(&at, CHUNK * CHUNK), *dP = carve(&at, CHUNK * CHUNK), *G = carve(&at, CHUNK * CHUNK);
    float *work = carve(&at, CHUNK * CHUNK), *dO = carve(&at, CHUNK * dv), *dD = carve(&at, CHUNK * dv);
    float *DT = carve(&at, CHUNK * dv), *dQ = carve(&at, CHUNK * dk), *dK = carve(&at, CHUNK * dk);
    float *ST = carve(&at, size), *dST = carve(&at, size), *dS = carve(&at, size);
    float dalpha[CHUNK];
    if (g->d_end) memcpy(dS, g->d_end + item * size, size * sizeof(float));
    else memset(dS, 0, size * sizeof(float));

    long starts[g->chunks + 1], count = 0;
    for (long t = 0; t < g->T; t = chunk_end(g, b, t)) starts[count++] = t;
    starts[count] = g->T;
    for (long index = count - 1; index >= 0; index--) {
      long t = starts[index];
      const float *S = g->saved + (item * g->chunks + index) * size;
      solve_chunk(g, &c, b, h, t, starts[index + 1], S);
      long n = c.n;
      load_rows(g->d_out, g, b, h, t, c.rows, n, dv, dO);
      transpose_small(dk, dv, S, dv, ST, dk);
      transpose_small(dk, dv, dS, dv, dST, dk);
      transpose_small(n, dv, c.D, dv, DT, CHUNK);

      small_gemm(n, n, dk, c.Q, dk, 1, c.KT, CHUNK, P, CHUNK, 0);
      lower_triangle(P, n, CHUNK, 0);
      small_gemm(n, dv, n, P, 1, CHUNK, dO, dv, dD, dv, 0);         /* dD = P^T dO + K dS' */
      small_gemm(n, dv, dk, c.K, dk, 1, dS, dv, dD, dv, 1);
      small_gemm(n, n, dv, dO, dv, 1, DT, CHUNK, dP, CHUNK, 0);     /* dP = lower(dO D^T) */
      lower_triangle(dP, n, CHUNK, 0);
      small_gemm(n, dk, dv, dO, dv, 1, ST, dk, dQ, dk, 0);          /* dQ = dO S^T + dP K */
      small_gemm(n, dk, n, dP, CHUNK, 1, c.K, dk, dQ, dk, 1);
      small_gemm(n, dk, n, dP, 1, CHUNK, c.Q, dk, dK, dk, 0);       /* dK = dP^T Q + D dS'^T */
      small_gemm(n, dk, dv, c.D, dv, 1, dST, dk, dK, dk, 1);
      small_gemm(dk, dv, c.rows, c.Q, 1, dk, dO, dv, dS, dv, 1);    /* dS += Q^T dO */

      transpose_small(n, n, c.lower, CHUNK, work, CHUNK);
      solve_transposed(n, dv, work, dD);                            /* dR = M^{-T} dD */
      small_gemm(n, n, dv, dD, dv, 1, DT, CHUNK, dP, CHUNK, 0);     /* dM = -strict_lower(dR D^T) */
      small_gemm(n, n, dk, c.K, dk, 1, c.KT, CHUNK, G, CHUNK, 0);
      memset(work, 0, CHUNK * CHUNK * sizeof(float));
      for (long i = 0; i < n; i++) {
        float al = c.alpha[i];
        dalpha[i] = dot_fixed(dD + i * dv, c.E + i * dv, dv) - dot_fixed(dP + i * CHUNK, G + i * CHUNK, i);
        for (long j = 0; j < i; j++) {
          float d = -al * dP[i * CHUNK + j];
          work[i * CHUNK + j] = d;
          work[j * CHUNK + i] = d;
        }
        for (long j = 0; j < dv; j++) dD[i * dv + j] *= al;         /* dE = dV = diag(alpha) dR */
      }
      small_gemm(n, dk, n, work, CHUNK, 1, c.K, dk, dK, dk, 1);     /* dK += (dG + dG^T) K */
      for (long i = 0; i < n * dv; i++) c.V[i] = -dD[i];
      small_gemm(n, dk, dv, c.V, dv, 1, ST, dk, dK, dk, 1);         /* dK -= dE S^T */
      small_gemm(dk, dv, c.rows, c.K, 1, dk, c.V, dv, dS, dv, 1);   /* dS -= K^T dE */

      store_rows(g->dq, g, b, h, t, c.rows, dk, dQ);
      store_rows(g->dk_out, g, b, h, t, c.rows, dk, dK);
      store_rows(g->dv_out, g, b, h, t, c.rows, dv, dD);
      store_rows(g->dgate, g, b, h, t, c.rows, 1, dalpha);
      if (chunk_resets(g, b, t)) memset(dS, 0, size * sizeof(float));
    }
    if (g->dstart) memcpy(g->dstart + item * size, dS, size * sizeof(float));
  }
}
/* p: dq dk dv dalpha dstart? saved q k v alpha position? dout dend?; n: B T H dk dv chunks */
KERNEL(delta_rule_backward) {
  recurrence g = {.dq = F(0), .dk_out = F(1), .dv_out = F(2), .dgate = F(3), .dstart = F(4), .saved = F(5), .q = F(6),
                  .k = F(7), .v = F(8), .gate = F(9), .position = I(10), .d_out = F(11), .d_end = F(12),
                  .B = L(0), .T = L(1), .H = L(2), .dk = L(3), .dv = L(4), .chunks = L(5)};
  parallel_for(g.B * g.H, 1, delta_backward_heads, &g);
}
