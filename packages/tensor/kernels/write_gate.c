/* Write gates of delta rules: the exact one of Quasar attention and the one of Quasar-Preview's chunk form. */
#include "quasar.h"
#include "scalar.h"
#include "simd.h"

typedef struct {
  const float *z, *k, *extra, *rate, *shift, *dy;
  float *y, *dz, *dk, *dextra, *drate, *dshift;
  long H, E;
  int is_sigmoid;
  float eps, floor;
} gates;

/* phi(beta, lambda) = (1 - e^(-beta lambda)) / lambda, beta for lambda -> 0 (architecture: exact zero-order hold). */
static inline float phi(float beta, float lambda) {
  float x = beta * lambda;
  return x < 1e-4f ? beta * (1.0f - 0.5f * x) : -q_expm1(-x) / lambda;
}
static inline float phi_slope(float beta, float lambda) {
  float x = beta * lambda;
  return x < 1e-2f ? -beta * beta * (0.5f - x * (1.0f / 3.0f - 0.125f * x)) : (beta * q_exp(-x) - phi(beta, lambda)) / lambda;
}
static inline float hold_time(const gates *g, float z) { return g->is_sigmoid ? q_sigmoid(z) : q_softplus(z); }
static inline float hold_time_slope(const gates *g, float z) {
  return g->is_sigmoid ? q_sigmoid(z) * q_sigmoid(-z) : q_sigmoid(z);
}
/* max(|k|^2, floor) plus the extra rate; NaN stays NaN, here and below */
static inline float decay_rate(const gates *g, long i, float square) {
  return MAX(g->floor, square) + (g->extra ? g->extra[i] : 0.0f);
}
/* lambda / (lambda + eps): what eps takes from phi */
static inline float share(const gates *g, float lambda) { return g->eps > 0.0f ? lambda / (lambda + g->eps) : 1.0f; }

static void exact_rows(void *context, long begin, long end) {
  const gates *g = context;
  for (long i = begin; i < end; i++) {
    const float *k = g->k + i * g->E;
    float lambda = decay_rate(g, i, dot_fixed(k, k, g->E));
    g->y[i] = phi(hold_time(g, g->z[i]), lambda) * share(g, lambda);
  }
}
/* alpha = (1 - e^(-beta lambda)) / (lambda + eps), beta = softplus(z) or sigmoid(z), lambda = max(|k|^2, floor) + rate.
   p: alpha z[rows] k[rows,E] rate?[rows]; n: rows E sigmoid eps floor */
KERNEL(exact_gate) {
  gates g = {.y = F(0), .z = F(1), .k = F(2), .extra = F(3), .E = L(1), .is_sigmoid = (int)a->n[2], .eps = (float)a->n[3],
             .floor = (float)a->n[4]};
  parallel_for(L(0), 1 + 4096 / (g.E + 1), exact_rows, &g);
}
static void exact_backward_rows(void *context, long begin, long end) {
  const gates *g = context;
  for (long i = begin; i < end; i++) {
    const float *k = g->k + i * g->E;
    float square = dot_fixed(k, k, g->E), lambda = decay_rate(g, i, square), beta = hold_time(g, g->z[i]), part = share(g, lambda);
    float sum = lambda + g->eps, lost = g->eps > 0.0f ? phi(beta, lambda) * (g->eps / sum / sum) : 0.0f;
    float dlambda = g->dy[i] * q_fma(part, phi_slope(beta, lambda), lost), c = square >= g->floor ? 2.0f * dlambda : 0.0f;
    g->dz[i] = g->dy[i] * part * q_exp(-beta * lambda) * hold_time_slope(g, g->z[i]);
    if (g->dextra) g->dextra[i] = dlambda;
    for (long j = 0; j < g->E; j++) g->dk[i * g->E + j] = c * k[j];
  }
}
/* p: dz dk drate? z k rate? dalpha; n: as exact_gate */
KERNEL(exact_gate_backward) {
  gates g = {.dz = F(0), .dk = F(1), .dextra = F(2), .z = F(3), .k = F(4), .extra = F(5), .dy = F(6), .E = L(1),
             .is_sigmoid = (int)a->n[2], .eps = (float)a->n[3], .floor = (float)a->n[4]};
  parallel_for(L(0), 1 + 4096 / (g.E + 1), exact_backward_rows, &g);
}

/* Bounds of Quasar-Preview's chunk form: squared key length, gate; and what it adds to the squared length. */
static const float PREVIEW_LOW = 0.1f, PREVIEW_HIGH = 10.0f, PREVIEW_LEAST = 1e-4f, PREVIEW_MOST = 0.95f, PREVIEW_EPS = 1e-6f;

/* Channels' 1 - e^(-e^A softplus(beta + dt)), summed in order. */
static float preview_sum(const gates *g, long h, float beta, float *value) {
  const float *shift = g->shift + h * g->E, rate = q_exp(g->rate[h]);
  float sum = 0.0f;
  for (long c = 0; c < g->E; c++) value[c] = -q_expm1(-rate * q_softplus(beta + shift[c]));
  for (long c = 0; c < g->E; c++) sum += value[c];
  return sum;
}
static void preview_rows(void *context, long begin, long end) {
  const gates *g = context;
  float *value = scratch(SCRATCH_KERNEL, (g->E + 1) * sizeof(float));
  for (long i = begin; i < end; i++) {
    const float *k = g->k + i * g->E;
    float lambda = MIN(PREVIEW_HIGH, MAX(PREVIEW_LOW, dot_fixed(k, k, g->E)));
    float alpha = preview_sum(g, i % g->H, q_sigmoid(g->z[i]), value) / ((float)g->E * (lambda + PREVIEW_EPS));
    g->y[i] = MIN(PREVIEW_MOST, MAX(PREVIEW_LEAST, alpha));
  }
}
/* alpha = mean over channels of (1 - e^(-e^A softplus(beta + dt))) / (lambda + 1e-6) within [1e-4, 0.95], beta = sigmoid(z),
   lambda = |k|^2 within [0.1, 10]. p: alpha z[rows,H] k[rows,H,E] A_log[H] dt_bias[H,E]; n: rows H E */
KERNEL(preview_gate) {
  gates g = {.y = F(0), .z = F(1), .k = F(2), .rate = F(3), .shift = F(4), .H = L(1), .E = L(2)};
  parallel_for(L(0) * g.H, 1 + 1024 / (g.E + 1), preview_rows, &g);
}
static void preview_backward_rows(void *context, long begin, long end) {
  const gates *g = context;
  long E = g->E;
  float *value = scratch(SCRATCH_KERNEL, (E + 1) * sizeof(float));
  for (long i = begin; i < end; i++) {
    long h = i % g->H;
    const float *k = g->k + i * E, *shift = g->shift + h * E, rate = q_exp(g->rate[h]), z = g->z[i], beta = q_sigmoid(z);
    float square = dot_fixed(k, k, E), lambda = MIN(PREVIEW_HIGH, MAX(PREVIEW_LOW, square)), below = lambda + PREVIEW_EPS;
    float alpha = preview_sum(g, h, beta, value) / ((float)E * below), *dshift = g->dshift + i * E;
    float d = alpha >= PREVIEW_LEAST && alpha <= PREVIEW_MOST ? g->dy[i] : 0.0f, w = d * rate / ((float)E * below);
    float dbeta = 0.0f, drate = 0.0f, c = square >= PREVIEW_LOW && square <= PREVIEW_HIGH ? -2.0f * d * alpha / below : 0.0f;
    for (long j = 0; j < E; j++) {
      float x = beta + shift[j], s = q_softplus(x), kept = q_exp(-rate * s);
      dshift[j] = w * kept * q_sigmoid(x);
      value[j] = w * kept * s;
    }
    for (long j = 0; j < E; j++) dbeta += dshift[j], drate += value[j];
    g->dz[i] = dbeta * beta * q_sigmoid(-z);
    g->drate[i] = drate;
    for (long j = 0; j < E; j++) g->dk[i * E + j] = c * k[j];
  }
}
/* Gradients of A_log and dt_bias per row. p: dz dk dA_log[rows,H] ddt_bias[rows,H,E] z k A_log dt_bias dalpha; n: rows H E */
KERNEL(preview_gate_backward) {
  gates g = {.dz = F(0), .dk = F(1), .drate = F(2), .dshift = F(3), .z = F(4), .k = F(5), .rate = F(6), .shift = F(7), .dy = F(8),
             .H = L(1), .E = L(2)};
  parallel_for(L(0) * g.H, 1 + 1024 / (g.E + 1), preview_backward_rows, &g);
}
