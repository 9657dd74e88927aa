/* Stand-alone process: runs kernel cases without Node, for sanitizers and for processors that an emulator plays.
   run-cases THREADS ISA < cases > results. Each buffer is a heap block of exactly its size, so that one byte too far is
   seen. Numbers are little-endian. In: u32 cases; per case u32 kernel, u32 buffers, u32 numbers, f64 each; per buffer i32
   type (-1: not passed, 0 f32 or int32, 1 bf16, 2 f16), u32 length, 4 bytes per element. Out: the elements of each buffer. */
#include "../../kernels/quasar.h"
#include "../../kernels/half.h"
#include <stdio.h>
#include <stdlib.h>

extern const kernel_fn kernel_table_plain[];
#ifdef Q_HAS_AVX2
extern const kernel_fn kernel_table_avx2[];
#endif
#ifdef Q_HAS_AVX512
extern const kernel_fn kernel_table_avx512[];
#endif

enum { MAX_BUFFERS = 64, MAX_NUMBERS = 64 };

static void fail(const char *what) {
  fprintf(stderr, "run-cases: %s\n", what);
  exit(2);
}
static void get(void *to, size_t bytes) {
  if (fread(to, 1, bytes, stdin) != bytes) fail("the cases end early");
}
static uint32_t get_u32(void) {
  uint32_t x;
  get(&x, sizeof x);
  return x;
}
static const kernel_fn *table_of(const char *isa) {
#ifdef Q_HAS_AVX512
  if (!strcmp(isa, "avx512")) return kernel_table_avx512;
#endif
#ifdef Q_HAS_AVX2
  if (!strcmp(isa, "avx2")) return kernel_table_avx2;
#endif
  if (strcmp(isa, "plain")) fail("no such instruction set");
  return kernel_table_plain;
}

static void run_case(const kernel_fn *table) {
  void *p[MAX_BUFFERS] = {0};
  int32_t type[MAX_BUFFERS];
  uint32_t length[MAX_BUFFERS];
  uint32_t kernel = get_u32(), buffers = get_u32(), numbers = get_u32();
  if (buffers > MAX_BUFFERS || numbers > MAX_NUMBERS) fail("too many arguments");
  double n[MAX_NUMBERS] = {0};
  get(n, numbers * sizeof *n);
  for (uint32_t i = 0; i < buffers; i++) {
    type[i] = (int32_t)get_u32();
    length[i] = get_u32();
    if (type[i] < 0) continue;
    float *values = malloc(length[i] * sizeof *values + 1);
    get(values, length[i] * sizeof *values);
    p[i] = values;
    if (type[i] != TYPE_F32) {
      p[i] = malloc(MAX(length[i] * sizeof(uint16_t), 1));
      q_store(values, type[i], length[i], p[i]);
      free(values);
    } else
      p[i] = realloc(values, MAX(length[i] * sizeof *values, 1)); /* exactly its size */
  }
  table[kernel](&(args){p, n});
  for (uint32_t i = 0; i < buffers; i++) {
    if (!p[i]) continue;
    float *values = malloc(length[i] * sizeof *values + 1);
    q_load(p[i], type[i], length[i], values);
    fwrite(values, sizeof *values, length[i], stdout);
    free(values);
    free(p[i]);
  }
}

int main(int argc, char **argv) {
  if (argc != 3) fail("usage: run-cases THREADS ISA");
  pool_start(atoi(argv[1]));
  for (uint32_t cases = get_u32(); cases > 0; cases--) run_case(table_of(argv[2]));
  return 0;
}
