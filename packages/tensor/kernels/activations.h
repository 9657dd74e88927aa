/* Gates of activations, for kernels that run them over whole rows: half the work of q_sigmoid and q_silu (scalar.h), within
   3 ulp, and 0 where e^-|x| < 2^-126. Branch-free; NaN passes, and infinities have their limits. */
#ifndef ACTIVATIONS_H
#define ACTIVATIONS_H
#include "scalar.h"

/* Of x, bounded below: e = e^-|x|. */
typedef struct { float x, e, sum; } gate_parts;
static inline gate_parts gate_split(float x) {
  float a = -__builtin_fabsf(x), c = a < -88.0f ? -88.0f : a;
  float shifted = q_fma(c, 1.44269504089f, 12583039.0f); /* 1.5 * 2^23 + 127 */
  float n = shifted - 12583039.0f;
  float r = q_fma(n, -0.693145751953125f, c);
  r = q_fma(n, -1.428606765330187e-06f, r);
  float p = 1.9875691500e-4f;
  p = q_fma(p, r, 1.3981999507e-3f);
  p = q_fma(p, r, 8.3334519073e-3f);
  p = q_fma(p, r, 4.1665795894e-2f);
  p = q_fma(p, r, 1.6666665459e-1f);
  p = q_fma(p, r, 5.0000001201e-1f);
  float e = (q_fma(p * r, r, r) + 1.0f) * q_bits_float((int32_t)((uint32_t)q_float_bits(shifted) << 23));
  return (gate_parts){x >= 0.0f ? x : c, e, 1.0f + e};
}

static inline float gate_sigmoid(float x) {
  gate_parts g = gate_split(x);
  return (x >= 0.0f ? 1.0f : g.e) / g.sum;
}
static inline float gate_silu(float x) {
  gate_parts g = gate_split(x);
  return (x >= 0.0f ? x : g.x * g.e) / g.sum;
}

/* A gate and its slope. */
typedef struct { float value, slope; } gate_pair;
static inline gate_pair gate_sigmoid_pair(float x) {
  float s = gate_sigmoid(x);
  return (gate_pair){s, s * (1.0f - s)};
}
static inline gate_pair gate_silu_pair(float x) {
  gate_parts g = gate_split(x);
  float s = (x >= 0.0f ? 1.0f : g.e) / g.sum;
  return (gate_pair){g.x * s, s * q_fma(g.x, 1.0f - s, 1.0f)};
}
#endif
