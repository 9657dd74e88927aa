/* Rotary position embedding (Su et al. 2021), architecture §3.2. Angles are counted in turns and in double, with whole turns
   taken off before any rounding to float: exact to float at any position. */
#ifndef ROTATION_H
#define ROTATION_H
#include "quasar.h"
#include "fma.h"

typedef struct {
  const int32_t *position;
  long half; /* channel pairs that turn */
  double cutoff;
  float sign;
  double *turns; /* per position and channel pair */
  float *table;  /* cosines and sines of `span` positions from `first` on, or NULL */
  long first, span;
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

static inline void fill_angles(const rotation *g, double position, float *cosine, float *sine) {
  for (long j = 0; j < g->half; j++) cos_sin_turns(position * g->turns[j], cosine + j, sine + j);
}
static void table_rows(void *context, long begin, long end) {
  const rotation *g = context;
  for (long i = begin; i < end; i++) {
    float *row = g->table + i * 2 * g->half;
    fill_angles(g, (double)(g->first + i), row, row + g->half);
  }
}

/* `rotary` channels turn by position * step^j. Positions that come twice or more on average, as in batches of rows, share their
   angles. Takes SCRATCH_KERNEL, which has to last as long as the rotation. */
static inline rotation make_rotation(const int32_t *position, long rows, long rotary, double step, double cutoff, float sign) {
  enum { MOST = 1 << 18 };
  rotation g = {.position = position, .half = rotary / 2, .cutoff = cutoff, .sign = sign, .first = INT32_MAX};
  long last = -1;
  for (long i = 0; i < rows && g.half > 0; i++)
    if (position[i] < cutoff) g.first = MIN(g.first, position[i]), last = MAX(last, position[i]);
  g.span = last - g.first + 1;
  if (g.span <= 0 || g.span > rows / 2 || g.span * 2 * g.half > MOST) g.span = 0;
  g.turns = scratch(SCRATCH_KERNEL, (g.half + 1) * sizeof(double) + g.span * 2 * g.half * sizeof(float));
  double frequency = 0.15915494309189535;
  for (long j = 0; j < g.half; j++, frequency *= step) g.turns[j] = frequency;
  if (g.span > 0) {
    g.table = (float *)(g.turns + g.half + 1);
    parallel_for(g.span, 1 + 1024 / (g.half + 1), table_rows, &g);
  }
  return g;
}

/* Cosines of row i, sines behind them; NULL where nothing turns. own: room for 2 half floats. */
static inline const float *row_angles(const rotation *g, long i, float *own) {
  if (g->half == 0 || g->position[i] >= g->cutoff) return NULL;
  if (g->table) return g->table + (g->position[i] - g->first) * 2 * g->half;
  fill_angles(g, (double)g->position[i], own, own + g->half);
  return own;
}

/* The pair (x[j], x[j + half]) turned. */
static inline void turn_pairs(long half, float sign, const float *restrict angles, const float *restrict x, float *restrict y) {
  for (long j = 0; j < half; j++) {
    float p = x[j], q = x[j + half], c = angles[j], s = sign * angles[j + half];
    y[j] = q_fma(p, c, -(q * s));
    y[j + half] = q_fma(q, c, p * s);
  }
}
#endif
