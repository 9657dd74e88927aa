/* Log decay of gated recurrences, architecture §3.5.11: g = -e^A softplus(z + dt), one rate A per head. */
#include "quasar.h"
#include "scalar.h"

typedef struct {
  const float *z, *rate, *shift, *dg;
  float *g, *dz, *drate;
  long H, E;
} decays;

static void decay_heads(void *context, long begin, long end) {
  const decays *d = context;
  for (long i = begin; i < end; i++) {
    long h = i % d->H;
    const float *z = d->z + i * d->E, *shift = d->shift + h * d->E;
    float *g = d->g + i * d->E, rate = -q_exp(d->rate[h]);
    for (long e = 0; e < d->E; e++) g[e] = rate * q_softplus(z[e] + shift[e]);
  }
}
/* p: g[rows,H,E] z[rows,H,E] A_log[H] dt[H,E]; n: rows H E */
KERNEL(decay_gate) {
  decays d = {.g = F(0), .z = F(1), .rate = F(2), .shift = F(3), .H = L(1), .E = L(2)};
  parallel_for(L(0) * d.H, 1 + 2048 / (d.E + 1), decay_heads, &d);
}

static void decay_heads_backward(void *context, long begin, long end) {
  const decays *d = context;
  for (long i = begin; i < end; i++) {
    long h = i % d->H;
    const float *z = d->z + i * d->E, *shift = d->shift + h * d->E, *dg = d->dg + i * d->E;
    float *dz = d->dz + i * d->E, rate = -q_exp(d->rate[h]), sum = 0.0f;
    for (long e = 0; e < d->E; e++) dz[e] = dg[e] * rate * q_sigmoid(z[e] + shift[e]);
    for (long e = 0; e < d->E; e++) sum = q_fma(dg[e], q_softplus(z[e] + shift[e]), sum);
    d->drate[i] = sum * rate;
  }
}
/* dA_log per row; the gradient of dt is the sum of dz. p: dz[rows,H,E] dA_log[rows,H] z A_log dt dg; n: rows H E */
KERNEL(decay_gate_backward) {
  decays d = {.dz = F(0), .drate = F(1), .z = F(2), .rate = F(3), .shift = F(4), .dg = F(5), .H = L(1), .E = L(2)};
  parallel_for(L(0) * d.H, 1 + 2048 / (d.E + 1), decay_heads_backward, &d);
}
