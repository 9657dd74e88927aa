/* bf16 and f16 storage: conversions by integer work alone, so that every processor gives the same bits. To storage: round
   to nearest, ties to even; too large becomes infinite, NaN stays NaN (quiet). From storage: exact. */
#ifndef HALF_H
#define HALF_H
#include "scalar.h"
#include "simd.h"

static inline float q_bf16_to_float(uint16_t h) { return q_bits_float((int32_t)((uint32_t)h << 16)); }

static inline uint16_t q_float_to_bf16(float x) {
  uint32_t bits = (uint32_t)q_float_bits(x);
  uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16, nan = bits >> 16 | 0x40u;
  return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

static inline float q_f16_to_float(uint16_t h) {
  uint32_t sign = (h & 0x8000u) << 16, magnitude = h & 0x7fffu, fraction = h & 0x3ffu;
  uint32_t subnormal = (uint32_t)q_float_bits((float)(int32_t)fraction * 5.9604644775390625e-8f); /* 2^-24 */
  uint32_t normal = (magnitude << 13) + 0x38000000u;
  uint32_t special = 0x7f800000u | fraction << 13 | (fraction ? 0x400000u : 0);
  return q_bits_float((int32_t)(sign | (magnitude >= 0x7c00u ? special : magnitude < 0x400u ? subnormal : normal)));
}

static inline uint16_t q_float_to_f16(float x) {
  uint32_t bits = (uint32_t)q_float_bits(x), sign = bits >> 16 & 0x8000u, a = bits & 0x7fffffffu;
  uint32_t normal = (a - 0x38000000u + 0xfffu + (a >> 13 & 1)) >> 13;
  /* In [0.5, 1) the last place of a float is 2^-24, the unit of f16 below 2^-14: the sum rounds to it. */
  uint32_t subnormal = (uint32_t)q_float_bits(q_bits_float((int32_t)a) + 0.5f) - 0x3f000000u;
  uint32_t special = a > 0x7f800000u ? 0x7e00u | (a >> 13 & 0x3ffu) : 0x7c00u;
  return (uint16_t)(sign | (a >= 0x47800000u ? special : a < 0x38800000u ? subnormal : normal));
}

/* A row of stored numbers as floats. */
static inline void q_load(const void *from, int type, long count, float *to) {
  const uint16_t *h = from;
  if (type == TYPE_F32) memcpy(to, from, (size_t)count * sizeof *to);
  else if (type == TYPE_BF16) for (long i = 0; i < count; i++) to[i] = q_bf16_to_float(h[i]);
  else for (long i = 0; i < count; i++) to[i] = q_f16_to_float(h[i]);
}
static inline void q_store(const float *from, int type, long count, void *to) {
  uint16_t *h = to;
  if (type == TYPE_F32) memcpy(to, from, (size_t)count * sizeof *from);
  else if (type == TYPE_BF16) for (long i = 0; i < count; i++) h[i] = q_float_to_bf16(from[i]);
  else for (long i = 0; i < count; i++) h[i] = q_float_to_f16(from[i]);
}

/* VW stored numbers as a vector. */
static inline __attribute__((always_inline)) vf vload_stored(const void *from, const int type) {
  if (type == TYPE_F32) return vload(from);
#if defined(__AVX512F__)
  __m256i h = _mm256_loadu_si256(from);
  if (type == TYPE_F16) return _mm512_cvtph_ps(h);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
#else
#if defined(__AVX2__)
  if (type == TYPE_BF16)
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(from)), 16));
#endif
  float lanes[VW];
  q_load(from, type, VW, lanes);
  return vload(lanes);
#endif
}
#endif
