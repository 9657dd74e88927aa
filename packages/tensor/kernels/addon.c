/* The Node-API border: memory outside the JavaScript heap and one call per kernel. Arguments travel in a Float64Array
   that JavaScript fills and this file reads in place: pointers first, then numbers. */
#define NAPI_VERSION 8
#include "quasar.h"
#include "arena.h"
#include "half.h"
#include <errno.h>
#include <fcntl.h>
#include <node_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define X(name) #name,
static const char *const kernel_names[] = {
#include "kernels.def"
};
#undef X
enum { KERNELS = sizeof kernel_names / sizeof *kernel_names, MAX_POINTERS = 32, MAX_NUMBERS = 32 };

typedef double (*peak_fn)(int kind, float *x, float *y, long count);
#define ISA(name)                            \
  extern const kernel_fn kernel_table_##name[]; \
  double peak_##name(int kind, float *x, float *y, long count);
ISA(plain)
#ifdef Q_HAS_AVX2
ISA(avx2)
#endif
#ifdef Q_HAS_AVX512
ISA(avx512)
#endif

/* One per JavaScript thread that loads the addon. */
typedef struct {
  const kernel_fn *table;
  peak_fn peak;
  const char *isa;
  double *block;
} instance;

/* Picks the widest instruction set that the processor has and `wanted` allows. */
static void choose(instance *self, const char *wanted) {
  self->table = kernel_table_plain, self->peak = peak_plain;
#if defined(__aarch64__)
  self->isa = "neon";
#else
  self->isa = "plain";
#endif
  int any = !strcmp(wanted, "auto");
#ifdef Q_HAS_AVX2
  if ((any || !strcmp(wanted, "avx2") || !strcmp(wanted, "avx512")) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    self->table = kernel_table_avx2, self->peak = peak_avx2, self->isa = "avx2";
#endif
#ifdef Q_HAS_AVX512
  if ((any || !strcmp(wanted, "avx512")) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    self->table = kernel_table_avx512, self->peak = peak_avx512, self->isa = "avx512";
#endif
}

static napi_value number(napi_env env, double x) {
  napi_value v;
  napi_create_double(env, x, &v);
  return v;
}
static napi_value string(napi_env env, const char *s) {
  napi_value v;
  napi_create_string_utf8(env, s, NAPI_AUTO_LENGTH, &v);
  return v;
}
static void *typed_array(napi_env env, napi_value v, size_t *bytes, size_t *width) {
  napi_typedarray_type type;
  size_t length;
  void *data = NULL;
  if (napi_get_typedarray_info(env, v, &type, &length, &data, NULL, NULL) != napi_ok) return NULL;
  static const size_t widths[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 8, 8};
  *width = widths[type];
  *bytes = length * *width;
  return data;
}
static double get_number(napi_env env, napi_value v) {
  double x = 0;
  napi_get_value_double(env, v, &x);
  return x;
}
static instance *self_of(napi_env env) {
  void *self = NULL;
  napi_get_instance_data(env, &self);
  return self;
}
#define ARGUMENTS(count)                                     \
  napi_value argv[count];                                    \
  size_t argc = count;                                       \
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL)

/* start(threads, isa, Float64Array block) -> { isa, threads, kernels } */
static napi_value js_start(napi_env env, napi_callback_info info) {
  ARGUMENTS(3);
  instance *self = self_of(env);
  char wanted[16] = "auto";
  size_t bytes, width;
  napi_get_value_string_utf8(env, argv[1], wanted, sizeof wanted, NULL);
  choose(self, wanted);
  pool_start((int)get_number(env, argv[0]));
  self->block = typed_array(env, argv[2], &bytes, &width);
  napi_value out, names;
  napi_create_object(env, &out);
  napi_create_array_with_length(env, KERNELS, &names);
  for (uint32_t i = 0; i < KERNELS; i++) napi_set_element(env, names, i, string(env, kernel_names[i]));
  napi_set_named_property(env, out, "isa", string(env, self->isa));
  napi_set_named_property(env, out, "threads", number(env, pool_threads()));
  napi_set_named_property(env, out, "kernels", names);
  return out;
}

/* Runs the command at `at`, [kernel, count of pointers, count of numbers, pointer..., number...], and gives its length; 0
   if there is no such kernel or it has too many operands. */
static size_t execute(const instance *self, const double *at) {
  double kernel = at[0], pointers = at[1], numbers = at[2];
  if (!(kernel >= 0 && kernel < KERNELS && pointers >= 0 && pointers <= MAX_POINTERS && numbers >= 0 && numbers <= MAX_NUMBERS))
    return 0;
  size_t P = (size_t)pointers, N = (size_t)numbers;
  void *p[MAX_POINTERS] = {0};
  double n[MAX_NUMBERS] = {0};
  for (size_t i = 0; i < P; i++) p[i] = (void *)(uintptr_t)at[3 + i];
  memcpy(n, at + 3 + P, N * sizeof *n);
  args a = {p, n};
  self->table[(int)kernel](&a);
  return 3 + P + N;
}
static void refuse(napi_env env) {
  napi_throw_error(env, "tensor.bad_kernel_call", "native device: unknown kernel or too many operands");
}

/* run(): the one command in the block */
static napi_value js_run(napi_env env, napi_callback_info info) {
  (void)info;
  const instance *self = self_of(env);
  if (!self->block || !execute(self, self->block)) refuse(env);
  return NULL;
}

/* replay(Float64Array commands): one after another */
static napi_value js_replay(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  const instance *self = self_of(env);
  size_t bytes = 0, width, done, left;
  const double *at = typed_array(env, argv[0], &bytes, &width);
  for (left = at ? bytes / sizeof *at : 0; left > 0; at += done, left -= done) {
    done = execute(self, at);
    if (done == 0 || done > left) {
      refuse(env);
      break;
    }
  }
  return NULL;
}

static void forget(napi_env env, void *self, void *hint) {
  (void)env, (void)hint;
  free(self);
}
static napi_value js_alloc(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  double bytes = get_number(env, argv[0]);
  void *p = bytes > 0 && bytes < 1e15 ? arena_alloc((size_t)bytes) : NULL;
  return number(env, (double)(uintptr_t)p);
}
/* free(pointer, bytes): as many as alloc was asked for */
static napi_value js_free(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  arena_free((void *)(uintptr_t)get_number(env, argv[0]), (size_t)get_number(env, argv[1]));
  return NULL;
}
/* write(pointer, typed array, type), read(pointer, typed array, type): the array's whole length, floats to or from the
   storage type; ints go as they are, and so does what is written from a 16-bit array. */
static napi_value js_write(napi_env env, napi_callback_info info) {
  ARGUMENTS(3);
  size_t bytes, width;
  void *data = typed_array(env, argv[1], &bytes, &width), *to = (void *)(uintptr_t)get_number(env, argv[0]);
  if (data && bytes && width == 2) memcpy(to, data, bytes);
  else if (data && bytes) q_store(data, (int)get_number(env, argv[2]), (long)(bytes / sizeof(float)), to);
  return NULL;
}
static napi_value js_read(napi_env env, napi_callback_info info) {
  ARGUMENTS(3);
  size_t bytes, width;
  void *data = typed_array(env, argv[1], &bytes, &width), *from = (void *)(uintptr_t)get_number(env, argv[0]);
  if (data && bytes) q_load(from, (int)get_number(env, argv[2]), (long)(bytes / sizeof(float)), data);
  return NULL;
}

/* peak(kind, x, y, count) -> operations or bytes per second, see peak.c */
static napi_value js_peak(napi_env env, napi_callback_info info) {
  ARGUMENTS(4);
  struct timespec begin, end;
  float *x = (void *)(uintptr_t)get_number(env, argv[1]), *y = (void *)(uintptr_t)get_number(env, argv[2]);
  clock_gettime(CLOCK_MONOTONIC, &begin);
  double work = self_of(env)->peak((int)get_number(env, argv[0]), x, y, (long)get_number(env, argv[3]));
  clock_gettime(CLOCK_MONOTONIC, &end);
  return number(env, work / ((double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec)));
}

static void unmap(napi_env env, void *data, void *bytes) {
  (void)env;
  munmap(data, (size_t)(uintptr_t)bytes);
}
/* map(path, bytes) -> ArrayBuffer that all processes share which map the file; bytes > 0 makes the file, 0 opens it. Throws an
   error whose message is that of the system. */
static napi_value js_map(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  char path[1024] = "";
  napi_get_value_string_utf8(env, argv[0], path, sizeof path, NULL);
  size_t bytes = (size_t)get_number(env, argv[1]);
  int makes = bytes > 0, fd = open(path, makes ? O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC : O_RDWR | O_CLOEXEC, 0600);
  struct stat status;
  int failure = fd < 0 ? errno : 0;
  /* Room now, or a full disk would kill the process that writes later. */
#ifdef __linux__
  if (!failure && makes) failure = posix_fallocate(fd, 0, (off_t)bytes);
#else
  if (!failure && makes && ftruncate(fd, (off_t)bytes) < 0) failure = errno;
#endif
  if (!failure && !makes) {
    if (fstat(fd, &status) < 0) failure = errno;
    else bytes = (size_t)status.st_size;
  }
  void *data = failure ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (!failure && data == MAP_FAILED) failure = errno;
  if (fd >= 0) close(fd);
  if (failure) {
    if (makes && fd >= 0) unlink(path);
    napi_throw_error(env, "tensor.no_shared_memory", strerror(failure));
    return NULL;
  }
  napi_value out = NULL;
  if (napi_create_external_arraybuffer(env, data, bytes, unmap, (void *)(uintptr_t)bytes, &out) != napi_ok) munmap(data, bytes);
  return out;
}

NAPI_MODULE_INIT() {
  static const struct { const char *name; napi_callback fn; } functions[] = {
      {"start", js_start}, {"run", js_run}, {"replay", js_replay}, {"alloc", js_alloc}, {"free", js_free}, {"write", js_write}, {"read", js_read},
      {"peak", js_peak}, {"map", js_map}};
  instance *self = calloc(1, sizeof *self);
  if (!self || napi_set_instance_data(env, self, forget, NULL) != napi_ok) return NULL;
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value fn;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].fn, NULL, &fn);
    napi_set_named_property(env, exports, functions[i].name, fn);
  }
  return exports;
}
