/* exp, log and friends in float, the same bits everywhere: only +, *, /, fma and integer work, never the C library
   (its results differ between processors). Branch-free, so that compilers vectorise loops that call them. Every function
   here is within 2 ulp of the true value for every float, subnormal ones too; NaN gives NaN, infinities and zeros give
   what IEEE 754 says (scripts/scalar-error.js shows it over all floats). */
#ifndef SCALAR_H
#define SCALAR_H
#include "fma.h"
#include <stdint.h>
#include <string.h>

static inline float q_bits_float(int32_t i) { float f; memcpy(&f, &i, 4); return f; }
static inline int32_t q_float_bits(float f) { int32_t i; memcpy(&i, &f, 4); return i; }
#define Q_INF __builtin_inff()

/* x = n ln 2 + r + lost, |r| <= ln 2 / 2: r rounded, `lost` the rest of it (Cody and Waite). Then e^x = 2^n (1 + p) with
   p = e^(r + lost) - 1. x within [-120, 89]. */
static inline float q_exp_reduced(float x, float *n) {
  float shifted = q_fma(x, 1.44269504089f, 12582912.0f);
  *n = shifted - 12582912.0f;
  float high = q_fma(*n, -0.693145751953125f, x);
  float r = q_fma(*n, -1.428606765330187e-06f, high);
  float lost = q_fma(*n, -1.428606765330187e-06f, high - r);
  float p = 1.9875691500e-4f;
  p = q_fma(p, r, 1.3981999507e-3f);
  p = q_fma(p, r, 8.3334519073e-3f);
  p = q_fma(p, r, 4.1665795894e-2f);
  p = q_fma(p, r, 1.6666665459e-1f);
  p = q_fma(p, r, 5.0000001201e-1f);
  return q_fma(p * r, r, lost) + r;
}
/* NaN becomes a bound, because its conversion to an integer is undefined. */
static inline float q_exp_bounded(float x) {
  float c = x > 89.0f ? 89.0f : x;
  return c > -120.0f ? c : -120.0f;
}
/* 2^n by two factors, so that results in the subnormal range are rounded once. */
static inline float q_power_low(float n) { return q_bits_float((((int32_t)n >> 1) + 127) << 23); }
static inline float q_power_high(float n) {
  int32_t k = (int32_t)n;
  return q_bits_float((k - (k >> 1) + 127) << 23);
}

static inline float q_exp(float x) {
  float n, p = q_exp_reduced(q_exp_bounded(x), &n) + 1.0f;
  return x != x ? x : p * q_power_low(n) * q_power_high(n);
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

/* What 1 + x loses to rounding comes back to first order. */
static inline float q_log1p(float x) {
  float u = 1.0f + x, r = q_log(u), lost = (x - (u - 1.0f)) / u;
  r = u > 0.0f && u < Q_INF ? r + lost : r;
  return u == 1.0f ? x : r;
}

/* 2^n p + 2^n - 1, halved so that 2^n does not overflow before the result does. */
static inline float q_expm1(float x) {
  float bounded = q_exp_bounded(x), n, p = q_exp_reduced(bounded > -20.0f ? bounded : -20.0f, &n);
  float half = q_bits_float(((int32_t)n + 126) << 23), y = q_fma(p, half, half - 0.5f) * 2.0f;
  y = n == 0.0f ? p : y;
  return __builtin_fabsf(x) < 2.9802322e-8f || x != x ? x : y;
}

/* A polynomial in x^2 where 1 - 2 / (e^2x + 1) would cancel. */
static inline float q_tanh(float x) {
  float a = __builtin_fabsf(x), z = x * x, p = -5.70498872745e-3f;
  p = q_fma(p, z, 2.06390887954e-2f);
  p = q_fma(p, z, -5.37397155531e-2f);
  p = q_fma(p, z, 1.33314422036e-1f);
  p = q_fma(p, z, -3.33332819422e-1f);
  float far = 1.0f - 2.0f / (q_exp(2.0f * a) + 1.0f);
  float y = a < 0.625f ? q_fma(p * z, x, x) : x < 0.0f ? -far : far;
  return x == 0.0f || x != x ? x : y;
}

/* e = e^-|x|, 1 + e = sum + lost and what e itself lost to rounding: to first order nothing is lost. NaN is the caller's. */
typedef struct { float power, low, high, e, rest, sum, lost; } q_logistic;
static inline q_logistic q_logistic_parts(float x) {
  q_logistic g;
  float n, p = q_exp_reduced(-__builtin_fabsf(q_exp_bounded(x)), &n);
  g.power = 1.0f + p, g.low = q_power_low(n), g.high = q_power_high(n);
  g.e = g.power * g.low * g.high, g.rest = (p - (g.power - 1.0f)) * g.low;
  g.sum = 1.0f + g.e, g.lost = g.e - (g.sum - 1.0f) + g.rest * g.high;
  return g;
}

/* 1 / (1 + e) or e / (1 + e). */
static inline float q_sigmoid(float x) {
  q_logistic g = q_logistic_parts(x);
  float q = (x >= 0.0f ? 1.0f : g.e) / g.sum, inverse = x >= 0.0f ? q : 1.0f - q;
  float y = q_fma((x >= 0.0f ? 0.0f : g.rest * g.high) - q * g.lost, inverse, q);
  return x != x ? x : y;
}

/* max(x, 0) + log(1 + e). */
static inline float q_softplus(float x) {
  q_logistic g = q_logistic_parts(x);
  float y = g.sum == 1.0f ? g.e : q_log(g.sum) + g.lost / g.sum;
  return x != x ? x : (x > 0.0f ? x : 0.0f) + y;
}
static inline float q_log_sigmoid(float x) { return -q_softplus(-x); }
/* x times the sigmoid, rounded once; for x < 0 the last factor of e^x comes after the product. */
static inline float q_silu(float x) {
  q_logistic g = q_logistic_parts(x);
  float c = q_exp_bounded(x), q = (x >= 0.0f ? 1.0f : g.power * g.low) / g.sum, inverse = x >= 0.0f ? q : 1.0f - q * g.high;
  float y = q_fma(x >= 0.0f ? x : c, q, c * (((x >= 0.0f ? 0.0f : g.rest) - q * g.lost) * inverse));
  return x != x ? x : x >= 0.0f ? y : y * g.high;
}
static inline float q_silu_slope(float x) {
  float s = q_sigmoid(x);
  return s * q_fma(x, 1.0f - s, 1.0f);
}
#endif
