/* Rotary position embedding (Su et al. 2021), architecture §3.2. Angles are counted in turns and in double, with whole
   turns taken off before any rounding to float: exact to float at any position, without tables. */
#include "quasar.h"
#include "fma.h"
#include <string.h>

typedef struct {
  const float *x;
  float *y;
  const int32_t *position;
  const double *turns; /* per position and channel pair */
  long H, E, half;
  double cutoff;
  float sign;
} rotation;

/* cos and sin of 2 pi x for |x| < 2^28: quarter turns off, then Taylor series for |y| <= pi/4, error below 1e-11. */
static inline void cos_sin_turns(double x, float *cosine, float *sine) {
  double quarters = (4.0 * x + 6755399441055744.0) - 6755399441055744.0; /* to the nearest integer */
  double y = (x - 0.25 * quarters) * 6.283185307179586, z = y * y;
  double s = y + y * z * (-1.0 / 6 + z * (1.0 / 120 + z * (-1.0 / 5040 + z * (1.0 / 362880 - z * (1.0 / 39916800)))));
  double tail = z * (1.0 / 40320 + z * (-1.0 / 3628800 + z * (1.0 / 479001600)));
  double c = 1.0 + z * (-0.5 + z * (1.0 / 24 + z * (-1.0 / 720 + tail)));
  int32_t n = (int32_t)quarters;
  double a = n & 1 ? s : c, b = n & 1 ? c : s;
  *cosine = (float)((n + 1) & 2 ? -a : a);
  *sine = (float)(n & 2 ? -b : b);
}

static void rope_rows(void *context, long begin, long end) {
  const rotation *g = context;
  long half = g->half;
  float *cosine = scratch(SCRATCH_PACK_A, 2 * half * sizeof(float)), *sine = cosine + half;
  for (long i = begin; i < end; i++) {
    double position = g->position[i];
    const float *x = g->x + i * g->H * g->E;
    float *y = g->y + i * g->H * g->E;
    if (position >= g->cutoff) {
      memcpy(y, x, g->H * g->E * sizeof(float));
      continue;
    }
    for (long j = 0; j < half; j++) cos_sin_turns(position * g->turns[j], cosine + j, sine + j);
    for (long j = 0; j < half; j++) sine[j] *= g->sign;
    for (long h = 0; h < g->H; h++, x += g->E, y += g->E) {
      for (long j = 0; j < half; j++) {
        float p = x[j], q = x[j + half];
        y[j] = q_fma(p, cosine[j], -(q * sine[j]));
        y[j + half] = q_fma(q, cosine[j], p * sine[j]);
      }
      for (long j = 2 * half; j < g->E; j++) y[j] = x[j];
    }
  }
}
/* Rotates channel pairs (j, j + R/2) by position * step^j; channels from R on pass, and so do rows at positions from
   cutoff on. sign -1 is the inverse. p: y x[rows,H,E] position[rows]; n: rows H E R step cutoff sign */
KERNEL(rope) {
  rotation g = {.y = F(0), .x = F(1), .position = I(2), .H = L(1), .E = L(2), .half = L(3) / 2, .cutoff = a->n[5],
                .sign = (float)a->n[6]};
  double *turns = scratch(SCRATCH_KERNEL, (g.half + 1) * sizeof(double)), frequency = 0.15915494309189535;
  for (long j = 0; j < g.half; j++, frequency *= a->n[4]) turns[j] = frequency;
  g.turns = turns;
  parallel_for(L(0), 1 + 4096 / (g.H * g.E + 1), rope_rows, &g);
}
