/* The part of the C library that kernels use, for WebAssembly; module.c holds it. */
#ifndef STDLIB_H
#define STDLIB_H
#include <stddef.h>
void qsort(void *base, size_t count, size_t width, int (*compare)(const void *, const void *));
#define abort __builtin_trap
#endif
