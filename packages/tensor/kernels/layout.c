/* Copies between tensors of different layouts: parts of rows, heads that repeat, caches that grow. */
#include "quasar.h"
#include <string.h>

typedef struct {
  const float *x;
  float *out;
  long width, out_step, step, adds;
} blocks;

static void copy_range(void *context, long begin, long end) {
  const blocks *g = context;
  for (long i = begin; i < end;) {
    long row = i / g->width, at = i % g->width, count = MIN(g->width - at, end - i);
    const float *x = g->x + row * g->step + at;
    float *out = g->out + row * g->out_step + at;
    if (g->adds)
      for (long j = 0; j < count; j++) out[j] += x[j];
    else
      memcpy(out, x, count * sizeof(float));
    i += count;
  }
}
/* Row r of `width` floats goes from x + r step + at to out + r out_step + out_at, or is added there.
   p: out x; n: rows width out_step out_at step at adds */
KERNEL(copy_blocks) {
  blocks g = {.out = F(0) + L(3), .x = F(1) + L(5), .width = L(1), .out_step = L(2), .step = L(4), .adds = L(6)};
  if (g.width > 0) parallel_for(L(0) * g.width, 16384, copy_range, &g);
}
