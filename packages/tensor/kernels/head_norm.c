/* What softmax attention does to the projections of its queries and keys before it compares them, in one pass: RMSNorm per
   head, rotation by position, and the gate of a head taken out of the projection that it shares with the query. */
#include "norm.h"
#include "rotation.h"

typedef struct {
  rotation turn;
  const float *x, *w, *dy, *dgate;
  float *y, *gate, *dx, *dw, *sums;
  long rows, H, E, step; /* a head of x begins `step` floats after the one before: E, or 2 E where its gate follows */
  float eps, offset;
} heads;

static void forward_rows(void *context, long begin, long end) {
  const heads *g = context;
  long E = g->E, half = g->turn.half;
  float *angle_room = scratch(SCRATCH_PACK_A, (2 * half + 2 * E + 1) * sizeof(float)), *w = angle_room + 2 * half, *normed = w + E;
  for (long j = 0; j < E; j++) w[j] = g->w[j] + g->offset;
  for (long i = begin; i < end; i++) {
    const float *angles = row_angles(&g->turn, i, angle_room);
    for (long h = i * g->H; h < (i + 1) * g->H; h++) {
      const float *x = g->x + h * g->step;
      float *y = g->y + h * E, r = inverse_root(x, E, g->eps), *to = angles ? normed : y;
      for (long j = 0; j < E; j++) to[j] = x[j] * r * w[j];
      if (angles) {
        turn_pairs(half, g->turn.sign, angles, normed, y);
        memcpy(y + 2 * half, normed + 2 * half, (E - 2 * half) * sizeof(float));
      }
      if (g->gate) memcpy(g->gate + h * E, x + E, E * sizeof(float));
    }
  }
}

/* y = rope(x / sqrt(mean(x^2) + eps) (w + offset)) per head, as in rms_norm and rope; the E floats behind a head are its gate.
   p: y[rows,H,E] gate?[rows,H,E] x[rows,H,E or 2 E] w[E] position?[rows]; n: rows H E eps offset R step cutoff. The gate comes
   with 2 E, the position with R > 0. */
KERNEL(head_norm) {
  heads g = {.turn = make_rotation(I(4), L(0), L(5), a->n[6], a->n[7], 1.0f), .y = F(0), .gate = F(1), .x = F(2), .w = F(3),
             .H = L(1), .E = L(2), .step = F(1) ? 2 * L(2) : L(2), .eps = (float)a->n[3], .offset = (float)a->n[4]};
  parallel_for(L(0), 1 + 4096 / (g.H * g.E + 1), forward_rows, &g);
}

static void backward_blocks(void *context, long begin, long end) {
  const heads *g = context;
  long E = g->E, half = g->turn.half, M = g->rows * g->H;
  float *angle_room = scratch(SCRATCH_PACK_A, (2 * half + 2 * E + 1) * sizeof(float)), *turned = angle_room + 2 * half;
  float *t = turned + E;
  for (long block = begin; block < end; block++) {
    float *sum = g->sums + block * E;
    const float *angles = NULL;
    memset(sum, 0, E * sizeof(float));
    for (long h = block * NORM_BLOCK; h < MIN(M, (block + 1) * NORM_BLOCK); h++) {
      if (h % g->H == 0 || h == block * NORM_BLOCK) angles = row_angles(&g->turn, h / g->H, angle_room);
      const float *dy = g->dy + h * E, *x = g->x + h * g->step;
      float *dx = g->dx + h * g->step;
      if (angles) {
        turn_pairs(half, g->turn.sign, angles, dy, turned);
        memcpy(turned + 2 * half, dy + 2 * half, (E - 2 * half) * sizeof(float));
        dy = turned;
      }
      rms_backward_row(E, g->eps, g->offset, 0, x, g->w, dy, dx, sum, t);
      if (g->step > E) memcpy(dx + E, g->dgate + h * E, E * sizeof(float));
    }
  }
}

/* p: dx dw x w position? dy dgate? work[ceil(rows H / 64), E]; n: rows H E eps offset R step cutoff */
KERNEL(head_norm_backward) {
  heads g = {.turn = make_rotation(I(4), L(0), L(5), a->n[6], a->n[7], -1.0f), .dx = F(0), .dw = F(1), .x = F(2), .w = F(3),
             .dy = F(5), .dgate = F(6), .sums = F(7), .rows = L(0), .H = L(1), .E = L(2), .step = F(6) ? 2 * L(2) : L(2),
             .eps = (float)a->n[3], .offset = (float)a->n[4]};
  long M = g.rows * g.H;
  parallel_for((M + NORM_BLOCK - 1) / NORM_BLOCK, 1 + norm_grain(g.E) / NORM_BLOCK, backward_blocks, &g);
  add_blocks(g.sums, M, g.E, g.dw);
}
