/* Rows of a matrix by number: embedding tables of any storage type, rows that are gathered and scattered. */
#include "quasar.h"
#include "half.h"

typedef struct {
  const float *x;
  float *out;
  const int32_t *ids;
  long M, V, D;
  int type;
} row_table;

/* p: out[M,D] table[V,D] ids[M]; n: M D V typeTable. Ids are checked by the caller. */
static void embedding_rows(void *context, long b, long e) {
  row_table *g = context;
  for (long i = b; i < e; i++)
    q_load((const char *)g->x + (int64_t)g->ids[i] * g->D * TYPE_BYTES(g->type), g->type, g->D, g->out + i * g->D);
}
KERNEL(embedding) {
  row_table g = {.out = F(0), .x = F(1), .ids = I(2), .D = L(1), .type = (int)a->n[3]};
  parallel_for(L(0), 1 + 8192 / (g.D + 1), embedding_rows, &g);
}
/* dtable[ids[i]] += dout[i], rows in order; columns split between threads. p: dtable[V,D] dout[M,D] ids; n: M D V */
static void embedding_columns(void *context, long b, long e) {
  row_table *g = context;
  for (long v = 0; v < g->V; v++) memset(g->out + v * g->D + b, 0, (e - b) * sizeof(float));
  for (long i = 0; i < g->M; i++) {
    float *to = g->out + (long)g->ids[i] * g->D;
    const float *from = g->x + i * g->D;
    for (long d = b; d < e; d++) to[d] += from[d];
  }
}
KERNEL(embedding_backward) {
  row_table g = {.out = F(0), .x = F(1), .ids = I(2), .M = L(0), .D = L(1), .V = L(2)};
  parallel_for(g.D, 16, embedding_columns, &g);
}
/* out[i] = x[rows[i]]. p: out[M,D] x rows; n: M D */
KERNEL(gather_rows) {
  row_table g = {.out = F(0), .x = F(1), .ids = I(2), .D = L(1)};
  parallel_for(L(0), 1 + 8192 / (g.D + 1), embedding_rows, &g);
}
/* out = 0; out[rows[i]] += x[i]. p: out[N,D] x[M,D] rows[M]; n: M D N */
KERNEL(scatter_rows) {
  row_table g = {.out = F(0), .x = F(1), .ids = I(2), .M = L(0), .D = L(1), .V = L(2)};
  parallel_for(g.D, 16, embedding_columns, &g);
}
