/* Rotary position embedding as a pass of its own. */
#include "rotation.h"
#include <string.h>

typedef struct {
  rotation turn;
  const float *x;
  float *y;
  long H, E;
} job;

static void rope_rows(void *context, long begin, long end) {
  const job *g = context;
  long H = g->H, E = g->E, half = g->turn.half;
  float sign = g->turn.sign, *own = scratch(SCRATCH_PACK_A, (2 * half + 1) * sizeof(float));
  for (long i = begin; i < end; i++) {
    const float *angles = row_angles(&g->turn, i, own), *x = g->x + i * H * E;
    float *y = g->y + i * H * E;
    if (!angles) {
      memcpy(y, x, H * E * sizeof(float));
      continue;
    }
    for (long h = 0; h < H; h++, x += E, y += E) {
      turn_pairs(half, sign, angles, x, y);
      for (long j = 2 * half; j < E; j++) y[j] = x[j];
    }
  }
}

/* Rotates channel pairs (j, j + R/2) by position * step^j; channels from R on pass, and so do rows at positions from
   cutoff on. sign -1 is the inverse. p: y x[rows,H,E] position[rows]; n: rows H E R step cutoff sign */
KERNEL(rope) {
  job g = {make_rotation(I(2), L(0), L(3), a->n[4], a->n[5], (float)a->n[6]), F(1), F(0), L(1), L(2)};
  parallel_for(L(0), 1 + 4096 / (g.H * g.E + 1), rope_rows, &g);
}
