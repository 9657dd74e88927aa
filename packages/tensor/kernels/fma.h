/* The fused multiply-add of every kernel: a * b + c rounded once. WebAssembly has no scalar one: there LLVM is given
   the form that it vectorises, and the build (scripts/build-wasm.js) makes it the relaxed multiply-add; without relaxed
   SIMD it stays a product and a sum, rounded twice. */
#ifndef FMA_H
#define FMA_H

#if defined(__wasm__)
static inline float q_fma(float a, float b, float c) {
#pragma clang fp contract(on)
  return a * b + c;
}
#else
static inline float q_fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#endif
#endif
