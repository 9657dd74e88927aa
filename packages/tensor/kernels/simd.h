/* Vectors of VW floats with an explicit fused multiply-add, so that every instruction set rounds alike. */
#ifndef SIMD_H
#define SIMD_H
#include "fma.h"
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
enum { VW = 16 };
typedef __m512 vf;
static inline vf vload(const float *x) { return _mm512_loadu_ps(x); }
static inline void vstore(float *x, vf v) { _mm512_storeu_ps(x, v); }
static inline vf vset(float x) { return _mm512_set1_ps(x); }
static inline vf vfma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf vsub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vload_part(const float *x, int n) { return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), x); }
static inline void vstore_part(float *x, vf v, int n) { _mm512_mask_storeu_ps(x, (__mmask16)((1u << n) - 1), v); }
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
enum { VW = 8 };
typedef __m256 vf;
static inline vf vload(const float *x) { return _mm256_loadu_ps(x); }
static inline void vstore(float *x, vf v) { _mm256_storeu_ps(x, v); }
static inline vf vset(float x) { return _mm256_set1_ps(x); }
static inline vf vfma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf vsub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline __m256i part_mask(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vf vload_part(const float *x, int n) { return _mm256_maskload_ps(x, part_mask(n)); }
static inline void vstore_part(float *x, vf v, int n) { _mm256_maskstore_ps(x, part_mask(n), v); }
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
enum { VW = 4 };
typedef float32x4_t vf;
static inline vf vload(const float *x) { return vld1q_f32(x); }
static inline void vstore(float *x, vf v) { vst1q_f32(x, v); }
static inline vf vset(float x) { return vdupq_n_f32(x); }
static inline vf vfma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
static inline vf vsub(vf a, vf b) { return vsubq_f32(a, b); }
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
enum { VW = 4 };
typedef v128_t vf;
static inline vf vload(const float *x) { return wasm_v128_load(x); }
static inline void vstore(float *x, vf v) { wasm_v128_store(x, v); }
static inline vf vset(float x) { return wasm_f32x4_splat(x); }
#if defined(__wasm_relaxed_simd__)
static inline vf vfma(vf a, vf b, vf c) { return wasm_f32x4_relaxed_madd(a, b, c); }
#else
static inline vf vfma(vf a, vf b, vf c) { return wasm_f32x4_add(wasm_f32x4_mul(a, b), c); }
#endif
static inline vf vsub(vf a, vf b) { return wasm_f32x4_sub(a, b); }
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
static inline vf vsub(vf a, vf b) {
  for (int i = 0; i < 4; i++) a.x[i] -= b.x[i];
  return a;
}
#endif

/* The first n < VW floats; lanes beyond are zero and stay untouched in memory. */
#if !defined(__AVX512F__) && !(defined(__AVX2__) && defined(__FMA__))
static inline vf vload_part(const float *x, int n) {
  float lanes[VW] = {0};
  for (int i = 0; i < n; i++) lanes[i] = x[i];
  return vload(lanes);
}
static inline void vstore_part(float *x, vf v, int n) {
  float lanes[VW];
  vstore(lanes, v);
  for (int i = 0; i < n; i++) x[i] = lanes[i];
}
#endif

/* Y[j,i] = x[i][j] for TRANSPOSE rows x[i] + at and as many columns. */
#if defined(__AVX2__) && defined(__FMA__)
enum { TRANSPOSE = 8 };
static inline void transpose_square(const float *const *x, long at, float *y, long ldy) {
  __m256 a[8], b[4];
  for (int i = 0; i < 8; i++) /* rows i % 4 and i % 4 + 4 share a register, so that in-lane shuffles do the rest */
    a[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x[i % 4] + at + i / 4 * 4)),
                                _mm_loadu_ps(x[i % 4 + 4] + at + i / 4 * 4), 1);
  for (int h = 0; h < 8; h += 4) {
    b[0] = _mm256_unpacklo_ps(a[h], a[h + 1]);
    b[1] = _mm256_unpackhi_ps(a[h], a[h + 1]);
    b[2] = _mm256_unpacklo_ps(a[h + 2], a[h + 3]);
    b[3] = _mm256_unpackhi_ps(a[h + 2], a[h + 3]);
    _mm256_storeu_ps(y + h * ldy, _mm256_shuffle_ps(b[0], b[2], 0x44));
    _mm256_storeu_ps(y + (h + 1) * ldy, _mm256_shuffle_ps(b[0], b[2], 0xee));
    _mm256_storeu_ps(y + (h + 2) * ldy, _mm256_shuffle_ps(b[1], b[3], 0x44));
    _mm256_storeu_ps(y + (h + 3) * ldy, _mm256_shuffle_ps(b[1], b[3], 0xee));
  }
}
#else
enum { TRANSPOSE = 4 };
static inline void transpose_square(const float *const *x, long at, float *y, long ldy) {
  float t[16];
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) t[4 * j + i] = x[i][at + j];
  for (int j = 0; j < 4; j++) memcpy(y + j * ldy, t + 4 * j, 16);
}
#endif

/* Stores past the caches, for results that nobody reads soon. x is aligned to a whole vector; vstream_end comes last. */
#if defined(__AVX512F__)
static inline void vstream(float *x, vf v) { _mm512_stream_ps(x, v); }
static inline void vstream_end(void) { _mm_sfence(); }
#elif defined(__AVX2__) && defined(__FMA__)
static inline void vstream(float *x, vf v) { _mm256_stream_ps(x, v); }
static inline void vstream_end(void) { _mm_sfence(); }
#else
static inline void vstream(float *x, vf v) { vstore(x, v); }
static inline void vstream_end(void) {}
#endif

/* Elementwise. vmax gives b where either is NaN; vpow2 gives 2^n of the float 1.5 * 2^23 + 127 + n, 0 for n = -127. */
#if defined(__AVX512F__)
static inline vf vadd(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vmul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vmax(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf vpow2(vf a) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a), 23)); }
#elif defined(__AVX2__) && defined(__FMA__)
static inline vf vadd(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vmul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vmax(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf vpow2(vf a) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a), 23)); }
#elif defined(__ARM_NEON) && defined(__aarch64__)
static inline vf vadd(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf vmul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf vmax(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline vf vpow2(vf a) { return vreinterpretq_f32_s32(vshlq_n_s32(vreinterpretq_s32_f32(a), 23)); }
#elif defined(__wasm_simd128__)
static inline vf vadd(vf a, vf b) { return wasm_f32x4_add(a, b); }
static inline vf vmul(vf a, vf b) { return wasm_f32x4_mul(a, b); }
static inline vf vmax(vf a, vf b) { return wasm_f32x4_pmax(b, a); }
static inline vf vpow2(vf a) { return wasm_i32x4_shl(a, 23); }
#else
static inline vf vadd(vf a, vf b) {
  for (int i = 0; i < 4; i++) a.x[i] += b.x[i];
  return a;
}
static inline vf vmul(vf a, vf b) {
  for (int i = 0; i < 4; i++) a.x[i] *= b.x[i];
  return a;
}
static inline vf vmax(vf a, vf b) {
  for (int i = 0; i < 4; i++) a.x[i] = a.x[i] > b.x[i] ? a.x[i] : b.x[i];
  return a;
}
static inline vf vpow2(vf a) {
  uint32_t bits[4];
  memcpy(bits, a.x, 16);
  for (int i = 0; i < 4; i++) bits[i] <<= 23;
  memcpy(a.x, bits, 16);
  return a;
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
