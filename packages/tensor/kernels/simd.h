/* Vectors of VW floats with an explicit fused multiply-add, so that every instruction set rounds alike. */
#ifndef SIMD_H
#define SIMD_H
#include "fma.h"
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
enum { VW = 16 };
typedef __m512 vf;
static inline vf vload(const float *x) { return _mm512_loadu_ps(x); }
static inline void vstore(float *x, vf v) { _mm512_storeu_ps(x, v); }
static inline vf vset(float x) { return _mm512_set1_ps(x); }
static inline vf vfma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
enum { VW = 8 };
typedef __m256 vf;
static inline vf vload(const float *x) { return _mm256_loadu_ps(x); }
static inline void vstore(float *x, vf v) { _mm256_storeu_ps(x, v); }
static inline vf vset(float x) { return _mm256_set1_ps(x); }
static inline vf vfma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
enum { VW = 4 };
typedef float32x4_t vf;
static inline vf vload(const float *x) { return vld1q_f32(x); }
static inline void vstore(float *x, vf v) { vst1q_f32(x, v); }
static inline vf vset(float x) { return vdupq_n_f32(x); }
static inline vf vfma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
#else
enum { VW = 4 };
typedef struct { float x[4]; } vf;
static inline vf vload(const float *x) { vf v; memcpy(v.x, x, 16); return v; }
static inline void vstore(float *x, vf v) { memcpy(x, v.x, 16); }
static inline vf vset(float x) { return (vf){{x, x, x, x}}; }
static inline vf vfma(vf a, vf b, vf c) {
  for (int i = 0; i < 4; i++) c.x[i] = q_fma(a.x[i], b.x[i], c.x[i]);
  return c;
}
#endif

/* Reductions use LANES partial sums, whatever VW is, and one fixed tree, so that the bits do not depend on VW. */
enum { LANES = 16 };
static inline float lane_sum(const float *s) {
  float t[8];
  for (int i = 0; i < 8; i++) t[i] = s[i] + s[i + 8];
  for (int i = 0; i < 4; i++) t[i] += t[i + 4];
  return (t[0] + t[2]) + (t[1] + t[3]);
}
static inline float dot_fixed(const float *x, const float *y, long n) {
  enum { NV = LANES / VW };
  vf s[NV];
  float t[LANES];
  long i = 0;
  for (int c = 0; c < NV; c++) s[c] = vset(0.0f);
  for (; i + LANES <= n; i += LANES)
    for (int c = 0; c < NV; c++) s[c] = vfma(vload(x + i + c * VW), vload(y + i + c * VW), s[c]);
  for (int c = 0; c < NV; c++) vstore(t + c * VW, s[c]);
  for (int j = 0; i + j < n; j++) t[j] = q_fma(x[i + j], y[i + j], t[j]);
  return lane_sum(t);
}
#endif
