/* Softmax over long rows in one reading: e^(x - ref) is summed while the maximum is looked for, and a block in which x rises
   far above ref is done again with a new one. Blocks of a fixed size, lanes in one fixed tree: the bits depend on the row. */
#ifndef SOFTMAX_H
#define SOFTMAX_H
#include "quasar.h"
#include "scalar.h"
#include "simd.h"

/* A ref at most RISE below the maximum loses no accuracy and cannot overflow. LOWEST stands for a ref of -Infinity. */
enum { SOFTMAX_BLOCK = 2048, ROW_VECTORS = LANES / VW };
#define RISE 8.0f
#define LOWEST -3.402823466e38f

/* e^x for x <= 88: as q_exp, but 0 below -87.7 where results are subnormal. */
static inline vf vexp(vf x) {
  vf c = vmax(vset(-88.0f), x);
  vf shifted = vfma(c, vset(1.44269504089f), vset(12583039.0f)); /* 1.5 * 2^23 + 127 */
  vf n = vadd(shifted, vset(-12583039.0f));
  vf r = vfma(n, vset(-0.693145751953125f), c);
  r = vfma(n, vset(-1.428606765330187e-06f), r);
  vf p = vset(1.9875691500e-4f);
  p = vfma(p, r, vset(1.3981999507e-3f));
  p = vfma(p, r, vset(8.3334519073e-3f));
  p = vfma(p, r, vset(4.1665795894e-2f));
  p = vfma(p, r, vset(1.6666665459e-1f));
  p = vfma(p, r, vset(5.0000001201e-1f));
  return vmul(vadd(vfma(vmul(p, r), r, r), vset(1.0f)), vpow2(shifted));
}

/* 2^x for x <= 127 within 2 ulp (1.01 seen), 0 below -126.5 where results are subnormal; NaN gives NaN. */
static inline vf vexp2(vf x) {
  vf c = vmax(vset(-127.0f), x), shifted = vadd(c, vset(12583039.0f)); /* 1.5 * 2^23 + 127 */
  vf r = vsub(c, vadd(shifted, vset(-12583039.0f))), p = vset(1.559467782e-4f);
  p = vfma(p, r, vset(1.340664341e-3f));
  p = vfma(p, r, vset(9.617692791e-3f));
  p = vfma(p, r, vset(5.550310388e-2f));
  p = vfma(p, r, vset(2.402265221e-1f));
  p = vfma(p, r, vset(6.931472421e-1f));
  return vmul(vfma(p, r, vset(1.0f)), vpow2(shifted));
}

/* Sum of e^(x - ref). */
typedef struct {
  float ref, sum;
} mass;

static inline float mass_log(mass m) { return m.ref + q_log(m.sum); }
/* Both refs at least LOWEST. */
static inline void mass_rise(mass *m, float ref) {
  m->sum *= q_exp(m->ref - ref);
  m->ref = ref;
}
static inline void mass_add(mass *m, mass other) {
  if (other.ref > m->ref) mass_rise(m, other.ref);
  else mass_rise(&other, m->ref);
  m->sum += other.sum;
}

static inline float vectors_max(const vf *v) {
  float s[LANES], m = -Q_INF;
  for (int c = 0; c < ROW_VECTORS; c++) vstore(s + c * VW, v[c]);
  for (int j = 0; j < LANES; j++) m = s[j] > m ? s[j] : m;
  return m;
}
static inline float vectors_sum(const vf *v) {
  float s[LANES];
  for (int c = 0; c < ROW_VECTORS; c++) vstore(s + c * VW, v[c]);
  return lane_sum(s);
}
/* LANES floats at x, or the rest of a row filled up with -Infinity in `edge`. */
static inline const float *lanes_at(const float *x, int64_t i, int64_t n, float *edge) {
  if (i + LANES <= n) return x + i;
  for (int j = 0; j < LANES; j++) edge[j] = i + j < n ? x[i + j] : -Q_INF;
  return edge;
}

static inline float row_max(const float *x, int64_t n) {
  float edge[LANES];
  vf top[ROW_VECTORS];
  for (int c = 0; c < ROW_VECTORS; c++) top[c] = vset(-Q_INF);
  for (int64_t i = 0; i < n; i += LANES) {
    const float *from = lanes_at(x, i, n, edge);
    for (int c = 0; c < ROW_VECTORS; c++) top[c] = vmax(vload(from + c * VW), top[c]);
  }
  return vectors_max(top);
}

static inline mass row_mass(const float *x, int64_t n) {
  mass all = {MAX(row_max(x, MIN(n, SOFTMAX_BLOCK)), LOWEST), 0.0f};
  for (int64_t at = 0; at < n;) {
    int64_t end = MIN(n, at + SOFTMAX_BLOCK);
    float edge[LANES];
    vf top[ROW_VECTORS], sum[ROW_VECTORS], ref = vset(-all.ref);
    for (int c = 0; c < ROW_VECTORS; c++) top[c] = vset(-Q_INF), sum[c] = vset(0.0f);
    for (int64_t i = at; i < end; i += LANES) {
      const float *from = lanes_at(x, i, end, edge);
      for (int c = 0; c < ROW_VECTORS; c++) {
        vf v = vload(from + c * VW);
        top[c] = vmax(v, top[c]);
        sum[c] = vadd(sum[c], vexp(vadd(v, ref)));
      }
    }
    float most = vectors_max(top);
    if (most > all.ref + RISE) {
      mass_rise(&all, most);
      continue;
    }
    all.sum += vectors_sum(sum);
    at = end;
  }
  return all;
}
#endif
