/* libxsmm: many small products, one generated kernel, batches cut over OpenMP threads. Case: batches M N K. */
#include <libxsmm.h>
#include <omp.h>

#include "peer.h"

enum { CASES = 64 };
static struct { int batches, M, N, K; libxsmm_smmfunction kernel; float *A, *B, *C; } cases[CASES];
static int count;

static int prepare(const char *line) {
  if (!has(line, "\"case\":\"batched\"") || count == CASES) return -1;
  int n = (int)number(line, "batches"), M = (int)number(line, "M"), N = (int)number(line, "N"), K = (int)number(line, "K");
  /* libxsmm is column-major: a row-major C = A B is its C' = B' A'. */
  float one = 1.0f, zero = 0.0f;
  libxsmm_smmfunction kernel = libxsmm_smmdispatch(N, M, K, NULL, NULL, NULL, &one, &zero, NULL, NULL);
  if (!kernel) return -1;
  cases[count].batches = n, cases[count].M = M, cases[count].N = N, cases[count].K = K, cases[count].kernel = kernel;
  cases[count].A = filled((size_t)n * M * K), cases[count].B = filled((size_t)n * K * N);
  cases[count].C = filled((size_t)n * M * N);
  return count++;
}

static void run(int id) {
  size_t M = cases[id].M, N = cases[id].N, K = cases[id].K;
  libxsmm_smmfunction kernel = cases[id].kernel;
#pragma omp parallel for schedule(static)
  for (int i = 0; i < cases[id].batches; i++)
    kernel(cases[id].B + i * K * N, cases[id].A + i * M * K, cases[id].C + i * M * N);
}

static void drop(int id) {
  free(cases[id].A), free(cases[id].B), free(cases[id].C);
  cases[id].A = cases[id].B = cases[id].C = NULL;
}

int main(void) {
  libxsmm_init();
  char version[128];
  snprintf(version, sizeof version, "%s, %s, %d threads", LIBXSMM_VERSION, libxsmm_get_target_arch(), omp_get_max_threads());
  serve(version, prepare, run, drop);
}
