/* Runs serialised kernel calls on memory of exactly their size, so that a sanitizer sees every access beyond it.
   runner THREADS plain|wide CASES RESULTS. Outputs and scratch begin as NaN: reading what nothing wrote shows in the results.

   CASES, little-endian: int32 count of calls; per call a string (int32 length, bytes) with its name, one with its kernel,
   int32 count and float64 numbers, int32 count of buffers and per buffer int32 kind, int32 elements, contents unless it
   is an output. Kinds: -1 no buffer, 0 float, 1 bf16, 2 f16 (contents as floats), 3 int; 16 more: an output.
   RESULTS: per call, per buffer that is not missing, its contents after the call as floats or ints. */
#include "../../kernels/quasar.h"
#include "../../kernels/half.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define X(name) #name,
static const char *const kernel_names[] = {
#include "../../kernels/kernels.def"
};
#undef X
enum { KERNELS = sizeof kernel_names / sizeof *kernel_names, MAX_BUFFERS = 32, NUMBERS = 64, KIND_INT = 3, KIND_OUTPUT = 16 };

extern const kernel_fn kernel_table_plain[], Q_JOIN(kernel_table, Q_WIDE)[];

static char current[512] = "start";

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
void __sanitizer_set_death_callback(void (*callback)(void));
static void name_case(void) { fprintf(stderr, "in case: %s\n", current); }
#endif

static void take(void *to, size_t bytes, FILE *from) {
  if (bytes && fread(to, 1, bytes, from) != bytes) {
    fprintf(stderr, "runner: the file of cases ends early\n");
    exit(2);
  }
}
static int32_t take_int(FILE *from) {
  int32_t x;
  take(&x, sizeof x, from);
  return x;
}
static void take_string(char *to, size_t room, FILE *from) {
  size_t length = (size_t)take_int(from);
  if (length >= room) exit(2);
  take(to, length, from);
  to[length] = 0;
}
static void *exactly(size_t bytes) {
  void *p = NULL;
  if (posix_memalign(&p, 64, bytes)) abort();
  memset(p, 0xff, bytes);
  return p;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  const kernel_fn *table = strcmp(argv[2], "plain") ? Q_JOIN(kernel_table, Q_WIDE) : kernel_table_plain;
  FILE *in = fopen(argv[3], "rb"), *out = fopen(argv[4], "wb");
  if (!in || !out) return 2;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  __sanitizer_set_death_callback(name_case);
#endif
  pool_start(atoi(argv[1]));
  for (int32_t calls = take_int(in); calls > 0; calls--) {
    char kernel[64];
    double n[NUMBERS] = {0};
    void *p[MAX_BUFFERS] = {0};
    int32_t kind[MAX_BUFFERS], length[MAX_BUFFERS];
    take_string(current, sizeof current, in);
    take_string(kernel, sizeof kernel, in);
    int32_t numbers = take_int(in);
    if (numbers > NUMBERS) return 2;
    take(n, (size_t)numbers * sizeof *n, in);
    int32_t buffers = take_int(in);
    if (buffers > MAX_BUFFERS) return 2;
    for (int32_t i = 0; i < buffers; i++) {
      kind[i] = take_int(in);
      if (kind[i] < 0) continue;
      length[i] = take_int(in);
      int type = kind[i] % KIND_OUTPUT, stored = type == KIND_INT ? TYPE_F32 : type;
      p[i] = exactly((size_t)length[i] * TYPE_BYTES(stored));
      if (kind[i] >= KIND_OUTPUT) continue;
      float *values = malloc((size_t)length[i] * sizeof *values);
      take(values, (size_t)length[i] * sizeof *values, in);
      q_store(values, stored, length[i], p[i]);
      free(values);
    }
    int number = 0;
    while (number < KERNELS && strcmp(kernel_names[number], kernel)) number++;
    if (number == KERNELS) {
      fprintf(stderr, "runner: no kernel %s\n", kernel);
      return 2;
    }
    table[number](&(args){p, n});
    for (int32_t i = 0; i < buffers; i++) {
      if (kind[i] < 0) continue;
      int type = kind[i] % KIND_OUTPUT;
      float *values = malloc((size_t)length[i] * sizeof *values);
      q_load(p[i], type == KIND_INT ? TYPE_F32 : type, length[i], values);
      fwrite(values, sizeof *values, (size_t)length[i], out);
      free(values);
      free(p[i]);
    }
  }
  fclose(in);
  return fclose(out) ? 2 : 0;
}
