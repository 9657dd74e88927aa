/* exp, log and friends in float, the same bits everywhere: only +, *, /, fma and integer work, never the C library
   (its results differ between processors). Branch-free where loops call them, so that compilers vectorise the loop.
   Stated error: q_exp and q_log <= 2 ulp; NaN passes through; q_exp saturates to 0 and +Inf. */
#ifndef SCALAR_H
#define SCALAR_H
#include "fma.h"
#include <stdint.h>
#include <string.h>

static inline float q_bits_float(int32_t i) { float f; memcpy(&f, &i, 4); return f; }
static inline int32_t q_float_bits(float f) { int32_t i; memcpy(&i, &f, 4); return i; }
#define Q_INF __builtin_inff()

/* 2^n by two factors, so that results in the subnormal range are right; Cody-Waite reduction by ln 2. */
static inline float q_exp(float x) {
  float c = x > 89.0f ? 89.0f : x;
  c = c > -104.0f ? c : -104.0f; /* NaN too, whose conversion to an integer is undefined */
  float shifted = q_fma(c, 1.44269504089f, 12582912.0f);
  float n = shifted - 12582912.0f;
  float r = q_fma(n, -0.693145751953125f, c);
  r = q_fma(n, -1.428606765330187e-06f, r);
  float p = 1.9875691500e-4f;
  p = q_fma(p, r, 1.3981999507e-3f);
  p = q_fma(p, r, 8.3334519073e-3f);
  p = q_fma(p, r, 4.1665795894e-2f);
  p = q_fma(p, r, 1.6666665459e-1f);
  p = q_fma(p, r, 5.0000001201e-1f);
  p = q_fma(p * r, r, r) + 1.0f;
  int32_t k = (int32_t)n, half = k >> 1;
  float y = p * q_bits_float((half + 127) << 23) * q_bits_float((k - half + 127) << 23);
  return x != x ? x : y;
}

static inline float q_log(float x) {
  float scaled = x < 1.17549435e-38f ? x * 8388608.0f : x;
  uint32_t bits = (uint32_t)q_float_bits(scaled);
  int32_t e = (int32_t)(bits - 0x3f3504f3u) >> 23;
  float m = q_bits_float((int32_t)(bits - ((uint32_t)e << 23))) - 1.0f;
  float n = (float)e - (x < 1.17549435e-38f ? 23.0f : 0.0f);
  float p = 7.0376836292e-2f;
  p = q_fma(p, m, -1.1514610310e-1f);
  p = q_fma(p, m, 1.1676998740e-1f);
  p = q_fma(p, m, -1.2420140846e-1f);
  p = q_fma(p, m, 1.4249322787e-1f);
  p = q_fma(p, m, -1.6668057665e-1f);
  p = q_fma(p, m, 2.0000714765e-1f);
  p = q_fma(p, m, -2.4999993993e-1f);
  p = q_fma(p, m, 3.3333331174e-1f);
  float z = m * m;
  float y = q_fma(p * m, z, -2.12194440e-4f * n);
  y = q_fma(-0.5f, z, y);
  float r = q_fma(0.693359375f, n, m + y);
  r = x == 0.0f ? -Q_INF : r;
  r = x == Q_INF ? Q_INF : r;
  return x < 0.0f || x != x ? __builtin_nanf("") : r;
}

/* log(1 + x) for x in [0, 1]: the rounding error of 1 + x is divided out. */
static inline float q_log1p(float x) {
  float u = 1.0f + x, d = u - 1.0f;
  float r = q_log(u) * (x / (d == 0.0f ? 1.0f : d));
  return d == 0.0f ? x : r;
}

/* e^x - 1 for x <= 0. */
static inline float q_expm1(float x) {
  float p = 1.9875691500e-4f;
  p = q_fma(p, x, 1.3981999507e-3f);
  p = q_fma(p, x, 8.3334519073e-3f);
  p = q_fma(p, x, 4.1665795894e-2f);
  p = q_fma(p, x, 1.6666665459e-1f);
  p = q_fma(p, x, 5.0000001201e-1f);
  p = q_fma(p * x, x, x);
  float y = q_exp(x) - 1.0f;
  return x > -0.34657359f ? p : y;
}

static inline float q_sigmoid(float x) {
  float e = q_exp(-__builtin_fabsf(x));
  float s = 1.0f / (1.0f + e);
  return x >= 0.0f ? s : e * s;
}
static inline float q_softplus(float x) {
  return (x > 0.0f ? x : 0.0f) + q_log1p(q_exp(-__builtin_fabsf(x)));
}
static inline float q_silu(float x) { return x * q_sigmoid(x); }
static inline float q_silu_slope(float x) {
  float s = q_sigmoid(x);
  return s * q_fma(x, 1.0f - s, 1.0f);
}
#endif
