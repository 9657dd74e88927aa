/* Worst error of the functions in scalar.h against the C library in double precision, over every STRIDE-th of all 2^32
   floats from number FIRST on. scalar-error FUNCTION FIRST STRIDE prints: worst error in ulp, the x where it occurs,
   count of values that break the rules for NaN, infinity and zero, a hash of all results (NaN counts as one value). */
#include "../../kernels/scalar.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double log_sigmoid(double x) { return -(fmax(-x, 0.0) + log1p(exp(-fabs(x)))); }
static double softplus(double x) { return fmax(x, 0.0) + log1p(exp(-fabs(x))); }
static double sigmoid(double x) { return x < 0 ? exp(x) / (1.0 + exp(x)) : 1.0 / (1.0 + exp(-x)); }
static double silu(double x) { return x == -INFINITY ? -0.0 : x * sigmoid(x); }

enum { BLOCK = 4096 };
#define FUNCTION(name, expected)                                    \
  static void run_##name(const float *x, float *y) {                \
    for (int i = 0; i < BLOCK; i++) y[i] = q_##name(x[i]);          \
  }                                                                 \
  static double true_##name(double x) { return expected(x); }
FUNCTION(exp, exp)
FUNCTION(log, log)
FUNCTION(log1p, log1p)
FUNCTION(expm1, expm1)
FUNCTION(tanh, tanh)
FUNCTION(sigmoid, sigmoid)
FUNCTION(softplus, softplus)
FUNCTION(log_sigmoid, log_sigmoid)
FUNCTION(silu, silu)

#define ROW(name) {#name, run_##name, true_##name}
static const struct {
  const char *name;
  void (*run)(const float *, float *);
  double (*expected)(double);
} functions[] = {ROW(exp), ROW(log), ROW(log1p), ROW(expm1), ROW(tanh), ROW(sigmoid), ROW(softplus), ROW(log_sigmoid), ROW(silu)};

/* Distance in units in the last place of a float at `expected`; what overflows counts as 2^128. */
static double ulps(float y, double expected) {
  double top = 0x1p128, a = fmin(fmax(expected, -top), top), b = isinf(y) ? (y > 0 ? top : -top) : y;
  if (a == b) return 0.0;
  int exponent = a == 0.0 ? -126 : ilogb(a);
  return fabs(b - a) / ldexp(1.0, (exponent < -126 ? -126 : exponent > 127 ? 127 : exponent) - 23);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int f = 0, count = sizeof functions / sizeof *functions;
  while (f < count && strcmp(functions[f].name, argv[1])) f++;
  if (f == count) return 2;
  uint64_t at = strtoull(argv[2], NULL, 10), stride = strtoull(argv[3], NULL, 10), wrong = 0, hash = 1469598103934665603u;
  double worst = 0.0;
  float where = 0.0f;
  while (at < (uint64_t)1 << 32) {
    static float x[BLOCK], y[BLOCK];
    int used = 0;
    for (int i = 0; i < BLOCK; i++, at += stride) {
      uint64_t bits = at < (uint64_t)1 << 32 ? at : 0;
      used += at < (uint64_t)1 << 32;
      x[i] = q_bits_float((int32_t)(uint32_t)bits);
    }
    functions[f].run(x, y);
    for (int i = 0; i < used; i++) {
      double expected = functions[f].expected(x[i]);
      hash = (hash ^ (isnan(y[i]) ? 0x7fc00000u : (uint32_t)q_float_bits(y[i]))) * 1099511628211u;
      if (isnan(expected) || isnan(y[i])) {
        wrong += isnan(expected) != isnan(y[i]);
        continue;
      }
      if (y[i] == 0.0f && expected == 0.0) wrong += !signbit(y[i]) != !signbit(expected);
      double error = ulps(y[i], expected);
      if (error > worst) worst = error, where = x[i];
    }
  }
  printf("%.4f %.9g %llu %016llx\n", worst, where, (unsigned long long)wrong, (unsigned long long)hash);
  return 0;
}
