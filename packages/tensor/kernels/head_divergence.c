/* KL between whole distributions (as in divergence.c) straight from the hidden rows and heads of a student and a teacher. */
#include "head.h"
#include "divergence.h"

typedef struct {
  head student, teacher;
  chunk s, t;
  int64_t N, first, last;
  int direction;
  float temperature;
  const float *dloss;
  float *loss, *lse, *lse_teacher;
  pair *blocks; /* [blocks of a tile, ld] */
  float *tiles, *copies, *dhead, *dhidden, *factor, *shift[2], *mean;
  int add_head;
} job;

/* What a block of both logits leaves, across rows. */
static void block_pairs(const float *first, const float *second, int64_t n, int64_t ld, int64_t padded, float inverse, pair *out) {
  for (int64_t t = 0; t < padded; t += LANES) {
    float lanes[5][LANES];
    for (int c = 0; c < LANES; c += VW) {
      vf ref[2] = {vset(LOWEST), vset(LOWEST)}, sum[2] = {vset(0.0f), vset(0.0f)}, distance = vset(0.0f);
      for (int64_t v = 0; v < n; v++) {
        ref[0] = vmax(vload(first + v * ld + t + c), ref[0]);
        ref[1] = vmax(vload(second + v * ld + t + c), ref[1]);
      }
      vf low[2] = {vmul(ref[0], vset(-inverse)), vmul(ref[1], vset(-inverse))}, shift = vfma(ref[0], vset(-1.0f), ref[1]);
      for (int64_t v = 0; v < n; v++) {
        vf a = vload(first + v * ld + t + c), b = vload(second + v * ld + t + c);
        vf ea = vexp(vfma(a, vset(inverse), low[0])), eb = vexp(vfma(b, vset(inverse), low[1]));
        /* an entry that both rule out counts nothing */
        vf d = vmax(vadd(vfma(b, vset(-1.0f), a), shift), vset(-1e30f));
        sum[0] = vadd(sum[0], ea);
        sum[1] = vadd(sum[1], eb);
        distance = vfma(ea, d, distance);
      }
      vstore(lanes[0] + c, ref[0]), vstore(lanes[1] + c, ref[1]);
      vstore(lanes[2] + c, sum[0]), vstore(lanes[3] + c, sum[1]), vstore(lanes[4] + c, distance);
    }
    for (int j = 0; j < LANES; j++)
      out[t + j] = (pair){{lanes[0][j], lanes[1][j]}, {lanes[2][j], lanes[3][j]}, lanes[4][j]};
  }
}

static void forward_blocks(void *context, long b, long e) {
  job *g = context;
  int64_t ld = g->s.ld;
  float *student = scratch(SCRATCH_PACK_B, 2 * BLOCK * ld * sizeof(float)), *teacher = student + BLOCK * ld;
  int forward = g->direction == FORWARD_KL;
  for (int64_t i = b; i < e; i++) {
    int64_t v = g->first + i * BLOCK, n = MIN(BLOCK, g->student.V - v);
    head_block(&g->student, &g->s, v, n, student, NULL);
    head_block(&g->teacher, &g->t, v, n, teacher, NULL);
    block_pairs(forward ? teacher : student, forward ? student : teacher, n, ld, g->s.padded, 1.0f / g->temperature,
                g->blocks + i * ld);
  }
}

static void backward_blocks(void *context, long b, long e) {
  job *g = context;
  int64_t ld = g->s.ld, step = ROUND_UP(g->student.d, STRIPE) * BLOCK;
  float *teacher = scratch(SCRATCH_PACK_B, BLOCK * ld * sizeof(float));
  vf inverse = vset(1.0f / g->temperature), minus = vset(-1.0f);
  for (int64_t i = b; i < e; i++) {
    int64_t v = g->first + i * BLOCK, n = MIN(BLOCK, g->student.V - v);
    float *tile = g->tiles + i * BLOCK * ld;
    head_block(&g->student, &g->s, v, n, tile, g->dhidden ? g->copies + i * step : NULL);
    head_block(&g->teacher, &g->t, v, n, teacher, NULL);
    for (int64_t r = 0; r < n; r++)
      for (int64_t t = 0; t < g->s.padded; t += VW) {
        float *x = tile + r * ld + t;
        vf log_q = vfma(vload(x), inverse, vload(g->shift[0] + t));
        vf log_p = vfma(vload(teacher + r * ld + t), inverse, vload(g->shift[1] + t));
        vf q = vexp(log_q), slope;
        if (g->direction == FORWARD_KL) slope = vfma(vexp(log_p), minus, q);
        else slope = vmul(q, vmax(vadd(vfma(log_p, minus, log_q), vload(g->mean + t)), vset(-1e30f)));
        vstore(x, vmul(slope, vload(g->factor + t)));
      }
    if (g->dhead) head_gradient(&g->s, tile, n, g->dhead + v * g->student.d, g->add_head);
  }
}
static void backward_columns(void *context, long b, long e) {
  job *g = context;
  hidden_gradient(&g->s, g->tiles, g->copies, g->last - g->first, g->dhidden, g->first > 0, b, e);
}

static void forward_rows(job *g, pair *rows, int64_t blocks) {
  for (int64_t t = 0; t < g->s.count; t++) {
    pair tile = g->blocks[t];
    for (int64_t i = 1; i < blocks; i++) pair_add(&tile, g->blocks[i * g->s.ld + t], 1.0f / g->temperature);
    pair_add(&rows[t], tile, 1.0f / g->temperature);
  }
}
static void finish_rows(job *g, const pair *rows) {
  int student = g->direction == FORWARD_KL;
  float inverse = 1.0f / g->temperature;
  for (int64_t t = 0; t < g->s.count; t++) {
    int64_t row = g->s.rows[t];
    const pair *p = &rows[t];
    g->loss[row] = g->temperature * g->temperature * pair_kl(p, inverse);
    g->lse[row] = q_fma(p->ref[student], inverse, q_log(p->sum[student]));
    g->lse_teacher[row] = q_fma(p->ref[!student], inverse, q_log(p->sum[!student]));
  }
}
static void prepare_rows(job *g) {
  float square = g->temperature * g->temperature;
  for (int64_t t = 0; t < g->s.padded; t++) g->factor[t] = g->mean[t] = 0.0f, g->shift[0][t] = g->shift[1][t] = 0.0f;
  for (int64_t t = 0; t < g->s.count; t++) {
    int64_t row = g->s.rows[t];
    g->factor[t] = g->temperature * g->dloss[row];
    g->mean[t] = -g->loss[row] / square;
    g->shift[0][t] = -g->lse[row];
    g->shift[1][t] = -g->lse_teacher[row];
  }
}

static void run(job *g, const float *hidden, const float *hidden_teacher, float *dhidden, int backward) {
  int64_t N = g->N, V = g->student.V, d = g->student.d, dt = g->teacher.d, wide = ROUND_UP(d, STRIPE);
  int64_t most = MIN(MAX_CHUNK, ROUND_UP(N, LANES)), ld = ROUND_UP(most, STRIPE) + LANES, per_tile = tile_blocks(V, d);
  size_t row = ld * sizeof(float), stripes = ROUND_UP(most, STRIPE) * sizeof(float);
  size_t sizes[] = {N * sizeof(int32_t), stripes * d, stripes * dt, row, row, row, row, most * sizeof(pair),
                    backward ? 0 : per_tile * ld * sizeof(pair), backward ? per_tile * BLOCK * row : 0,
                    g->dhead ? wide * stripes : 0, dhidden ? per_tile * BLOCK * wide * sizeof(float) : 0,
                    dhidden ? most * d * sizeof(float) : 0};
  void *part[sizeof sizes / sizeof *sizes];
  take_parts(part, sizes, sizeof sizes / sizeof *sizes);
  int32_t *rows = part[0];
  g->factor = part[3], g->mean = part[4], g->shift[0] = part[5], g->shift[1] = part[6], g->blocks = part[8];
  g->tiles = part[9], g->copies = part[11], g->dhidden = dhidden ? part[12] : NULL;
  pair *pairs = part[7];
  int64_t active = 0;
  for (int64_t i = 0; i < N; i++)
    if (!backward || g->dloss[i] != 0.0f) rows[active++] = (int32_t)i;
  if (g->dhead && active == 0) memset(g->dhead, 0, V * d * sizeof(float));
  if (dhidden && active < N) memset(dhidden, 0, N * d * sizeof(float));
  int64_t step = chunk_rows(active);
  for (int64_t at = 0; at < active; at += step) {
    int64_t count = MIN(step, active - at), padded = ROUND_UP(count, LANES);
    g->s = (chunk){.hidden = hidden, .rows = rows + at, .count = count, .padded = padded, .ld = padded + LANES, .d = d,
                   .by_rows = part[1], .by_columns = g->dhead ? part[10] : NULL};
    g->t = g->s;
    g->t.hidden = hidden_teacher, g->t.d = dt, g->t.by_rows = part[2], g->t.by_columns = NULL;
    pack_chunk(&g->s);
    pack_chunk(&g->t);
    if (backward) prepare_rows(g);
    for (int64_t t = 0; t < count; t++) pairs[t] = (pair){{LOWEST, LOWEST}, {0.0f, 0.0f}, 0.0f};
    g->add_head = at > 0;
    for (g->first = 0; g->first < V; g->first = g->last) {
      g->last = MIN(V, g->first + per_tile * BLOCK);
      int64_t blocks = (g->last - g->first + BLOCK - 1) / BLOCK;
      parallel_for(blocks, 1, backward ? backward_blocks : forward_blocks, g);
      if (!backward) forward_rows(g, pairs, blocks);
      else if (dhidden) parallel_for(wide / STRIPE, 1, backward_columns, g);
    }
    if (!backward) finish_rows(g, pairs);
    for (int64_t t = 0; dhidden && t < count; t++)
      memcpy(dhidden + g->s.rows[t] * d, g->dhidden + t * d, d * sizeof(float));
  }
}

/* loss as divergence without weights, of the logits hidden head^T of both; lse of logits / t of each.
   p: loss[N] lse[N] lseTeacher[N] hidden[N,d] head[V,d] hiddenTeacher[N,dt] headTeacher[V,dt];
   n: N V d dt direction t typeHead typeHeadTeacher */
KERNEL(head_divergence) {
  job g = {.loss = F(0), .lse = F(1), .lse_teacher = F(2), .N = L(0), .direction = (int)a->n[4], .temperature = (float)a->n[5],
           .student = {a->p[4], L(1), L(2), (int)a->n[6]}, .teacher = {a->p[6], L(1), L(3), (int)a->n[7]}};
  run(&g, F(3), F(5), NULL, 0);
}
/* Gradients of the student alone. p: dhidden[N,d]|NULL dhead[V,d]|NULL hidden head hiddenTeacher headTeacher loss lse
   lseTeacher dloss[N]; n: as head_divergence */
KERNEL(head_divergence_backward) {
  job g = {.loss = F(6), .lse = F(7), .lse_teacher = F(8), .dloss = F(9), .N = L(0), .direction = (int)a->n[4],
           .temperature = (float)a->n[5], .dhead = F(1), .student = {a->p[3], L(1), L(2), (int)a->n[6]},
           .teacher = {a->p[5], L(1), L(3), (int)a->n[7]}};
  run(&g, F(2), F(4), F(0), 1);
}
