/* What the machine can do at most, measured apart from the engine. Cases: fma (multiply-adds on registers only, widest
   vectors), read, write and copy (64 MB per thread, larger than the caches that count). All threads at once. */
#include <pthread.h>
#include <unistd.h>

#include "peer.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { FMA_LOOPS = 1 << 20, CHAINS = 16, MAX_THREADS = 256 };
static const size_t FLOATS = (size_t)64 << 18;

typedef struct { int kind, started; float *x, *y; float sink; } Part;
enum { FMA, READ, WRITE, COPY };
static Part parts[4][MAX_THREADS];
static int threads;
static const char *isa = "plain";

/* CHAINS independent chains hide the latency of four cycles at two products per cycle. */
#define FMA_BODY(vector, set, fma, reduce)                            \
  vector s[CHAINS], a = set(0.999999f), b = set(1e-6f);               \
  for (int c = 0; c < CHAINS; c++) s[c] = set((float)c);              \
  for (int i = 0; i < FMA_LOOPS; i++) {                               \
    _Pragma("GCC unroll 16") for (int c = 0; c < CHAINS; c++) s[c] = fma(s[c], a, b); \
  }                                                                   \
  float sum = 0;                                                      \
  for (int c = 0; c < CHAINS; c++) sum += reduce(s[c]);               \
  return sum;

static int lanes = 1;
#if defined(__x86_64__)
__attribute__((target("avx512f"))) static float first512(__m512 x) { return _mm512_cvtss_f32(x); }
__attribute__((target("avx512f"))) static float fma512(void) { FMA_BODY(__m512, _mm512_set1_ps, _mm512_fmadd_ps, first512) }
__attribute__((target("avx2,fma"))) static float first256(__m256 x) { return _mm256_cvtss_f32(x); }
__attribute__((target("avx2,fma"))) static float fma256(void) { FMA_BODY(__m256, _mm256_set1_ps, _mm256_fmadd_ps, first256) }
#endif
typedef float v4 __attribute__((vector_size(16)));
static inline v4 set4(float x) { return (v4){x, x, x, x}; }
static inline v4 fma4(v4 x, v4 a, v4 b) { return x * a + b; }
static inline float first4(v4 x) { return x[0]; }
static float fma128(void) { FMA_BODY(v4, set4, fma4, first4) }
static float (*fma_loop)(void) = fma128;

__attribute__((optimize("O3"), noinline)) static float read_all(const float *x) {
  typedef float v16 __attribute__((vector_size(64)));
  const v16 *v = (const v16 *)x;
  v16 s[4] = {{0}, {0}, {0}, {0}};
  for (size_t i = 0; i < FLOATS / 16; i += 4)
    for (int c = 0; c < 4; c++) s[c] += v[i + c];
  v16 t = s[0] + s[1] + s[2] + s[3];
  return t[0];
}

static void work(Part *p) {
  if (p->kind == FMA) p->sink = fma_loop();
  else if (p->kind == READ) p->sink = read_all(p->x);
  else if (p->kind == WRITE) memset(p->x, p->started++ & 1, FLOATS * sizeof(float));
  else memcpy(p->y, p->x, FLOATS * sizeof(float));
}

static pthread_barrier_t begin, end;
static int current;

static void *worker(void *index) {
  for (;;) {
    pthread_barrier_wait(&begin);
    work(&parts[current][(intptr_t)index]);
    pthread_barrier_wait(&end);
  }
  return NULL;
}

static int prepare(const char *line) {
  const char *names[] = {"\"case\":\"fma\"", "\"case\":\"read\"", "\"case\":\"write\"", "\"case\":\"copy\""};
  for (int kind = 0; kind < 4; kind++) {
    if (!has(line, names[kind])) continue;
    for (int t = 0; t < threads; t++) {
      Part *p = &parts[kind][t];
      p->kind = kind;
      if (kind != FMA && !p->x) p->x = filled(FLOATS);
      if (kind == COPY && !p->y) p->y = filled(FLOATS);
    }
    double bytes = (double)FLOATS * sizeof(float) * threads;
    case_work = kind == FMA ? 2.0 * FMA_LOOPS * CHAINS * lanes * threads : kind == COPY ? 2 * bytes : bytes;
    return kind;
  }
  return -1;
}

static void run(int id) {
  current = id;
  pthread_barrier_wait(&begin);
  work(&parts[id][0]);
  pthread_barrier_wait(&end);
}

static void drop(int id) {
  for (int t = 0; t < threads; t++) {
    free(parts[id][t].x), free(parts[id][t].y);
    parts[id][t].x = parts[id][t].y = NULL;
  }
}

int main(void) {
  const char *wanted = getenv("OMP_NUM_THREADS");
  threads = wanted ? atoi(wanted) : (int)sysconf(_SC_NPROCESSORS_ONLN);
  if (threads < 1 || threads > MAX_THREADS) threads = 1;
  lanes = 4;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) fma_loop = fma256, lanes = 8, isa = "avx2";
  if (__builtin_cpu_supports("avx512f")) fma_loop = fma512, lanes = 16, isa = "avx512";
#endif
  pthread_barrier_init(&begin, NULL, threads), pthread_barrier_init(&end, NULL, threads);
  for (intptr_t t = 1; t < threads; t++) {
    pthread_t id;
    pthread_create(&id, NULL, worker, (void *)t);
  }
  char version[64];
  snprintf(version, sizeof version, "%s, %d threads", isa, threads);
  serve(version, prepare, run, drop);
}
