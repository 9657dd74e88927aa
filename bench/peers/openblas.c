/* OpenBLAS: sgemm, row-major. Case: M N K transA transB. */
#include <cblas.h>

#include "peer.h"

enum { CASES = 64 };
static struct { int M, N, K, ta, tb; float *A, *B, *C; } cases[CASES];
static int count;

static int prepare(const char *line) {
  if (!has(line, "\"case\":\"gemm\"") || count == CASES) return -1;
  int M = (int)number(line, "M"), N = (int)number(line, "N"), K = (int)number(line, "K");
  cases[count].M = M, cases[count].N = N, cases[count].K = K;
  cases[count].ta = (int)number(line, "transA"), cases[count].tb = (int)number(line, "transB");
  cases[count].A = filled((size_t)M * K), cases[count].B = filled((size_t)K * N), cases[count].C = filled((size_t)M * N);
  return count++;
}

static void run(int id) {
  int M = cases[id].M, N = cases[id].N, K = cases[id].K, ta = cases[id].ta, tb = cases[id].tb;
  cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, M, N, K, 1.0f, cases[id].A,
              ta ? M : K, cases[id].B, tb ? K : N, 0.0f, cases[id].C, N);
}

static void drop(int id) {
  free(cases[id].A), free(cases[id].B), free(cases[id].C);
  cases[id].A = cases[id].B = cases[id].C = NULL;
}

int main(void) {
  char version[256];
  snprintf(version, sizeof version, "%s, %s kernels, %d threads", openblas_get_config(), openblas_get_corename(),
           openblas_get_num_threads());
  serve(version, prepare, run, drop);
}
