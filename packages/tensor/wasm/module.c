/* The border to JavaScript: what addon.c is to Node-API. Arguments travel in `block`, a Float64Array to JavaScript:
   pointers first, then numbers. Memory is handed out by JavaScript (src/devices/wasm/heap.ts). */
#include "fma.h"
#include "quasar.h"
#include <stdlib.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(#name)))
enum { MAX_ARGS = 32, MAX_BLOCK = 256, PAGE = 65536 };

extern const kernel_fn kernel_table_wasm[];
static double block[MAX_BLOCK];

#define X(name) #name " "
static const char names[] =
#include "kernels.def"
    ;
#undef X

EXPORT(argument_block) double *argument_block(void) { return block; }
/* Names in the order of their numbers, a blank after each. */
EXPORT(kernel_names) const char *kernel_names(void) { return names; }
EXPORT(kernel_names_length) int kernel_names_length(void) { return sizeof names - 1; }

EXPORT(run) void run(int kernel, int pointers) {
  void *p[MAX_ARGS] = {0};
  for (int i = 0; i < pointers; i++) p[i] = (void *)(uintptr_t)block[i];
  args a = {p, block + pointers};
  kernel_table_wasm[kernel](&a);
}

/* 1 when q_fma rounds once here: (1 + 2^-12)^2 - 1 - 2^-11 is 2^-24, which a rounded product loses. */
EXPORT(fuses) int fuses(void) {
  volatile float x = 1.0f + 0x1p-12f, minus = -(1.0f + 0x1p-11f);
  return q_fma(x, x, minus) != 0.0f;
}

static int exhausted;
/* 1 after a trap that scratch memory caused. */
EXPORT(out_of_memory) int out_of_memory(void) { return exhausted; }

/* Pages come straight from the engine; a slot that grows at least doubles, so what it leaves behind stays below what it holds. */
void *scratch(int slot, size_t bytes) {
  static _Thread_local char *memory[SCRATCH_SLOTS];
  static _Thread_local size_t size[SCRATCH_SLOTS];
  if (size[slot] < bytes) {
    size_t pages = (MAX(bytes, 2 * size[slot]) + PAGE - 1) / PAGE;
    size_t first = __builtin_wasm_memory_grow(0, pages);
    if (first == (size_t)-1) {
      pages = (bytes + PAGE - 1) / PAGE;
      first = __builtin_wasm_memory_grow(0, pages);
    }
    if (first == (size_t)-1) {
      exhausted = 1;
      abort();
    }
    memory[slot] = (char *)(first * PAGE);
    size[slot] = pages * PAGE;
  }
  return memory[slot];
}

static void swap(char *x, char *y, size_t width) {
  for (size_t i = 0; i < width; i++) {
    char kept = x[i];
    x[i] = y[i];
    y[i] = kept;
  }
}
/* Heapsort: in place, and no bad case. */
static void sift(char *base, size_t root, size_t count, size_t width, int (*compare)(const void *, const void *)) {
  for (size_t child; (child = 2 * root + 1) < count; root = child) {
    if (child + 1 < count && compare(base + child * width, base + (child + 1) * width) < 0) child++;
    if (compare(base + root * width, base + child * width) >= 0) return;
    swap(base + root * width, base + child * width, width);
  }
}
void qsort(void *base, size_t count, size_t width, int (*compare)(const void *, const void *)) {
  for (size_t i = count / 2; i-- > 0;) sift(base, i, count, width, compare);
  for (size_t last = count; last-- > 1;) {
    swap(base, (char *)base + last * width, width);
    sift(base, 0, last, width, compare);
  }
}
