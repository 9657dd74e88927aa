/* Rows of the tables of an n-gram memory, architecture §3.11: a hash of the last n canonical tokens per table. */
#include "quasar.h"

typedef struct {
  const int32_t *ids, *map, *seeds, *orders, *position;
  const float *state;
  int32_t *rows;
  long T, heads, tables, back;
  int64_t slots;
} ngrams;

/* Canonical token `back` before time t of the same segment, 0 before its start. */
static uint64_t canonical(const ngrams *g, long b, long t, long back) {
  if (g->position && g->position[b * g->T + t] < back) return 0;
  long at = t - back;
  if (at >= 0) return (uint64_t)g->map[g->ids[b * g->T + at]];
  return g->state ? (uint64_t)g->state[b * g->back + g->back + at] : 0;
}
/* |h| mod slots of signed 64-bit numbers that wrap; the least of them is its own magnitude, and its remainder counts from below. */
static int64_t slot_of(uint64_t h, int64_t slots) {
  int64_t x = (int64_t)h;
  if (x != INT64_MIN) return (x < 0 ? -x : x) % slots;
  int64_t rest = x % slots;
  return rest < 0 ? rest + slots : rest;
}
static void ngram_tokens(void *context, long begin, long end) {
  const ngrams *g = context;
  for (long i = begin; i < end; i++)
    for (long j = 0; j < g->tables; j++) {
      uint64_t h = (uint64_t)(int64_t)g->seeds[j];
      for (long back = MIN(g->back, (long)g->orders[j / g->heads] - 1); back >= 0; back--)
        h = h * 2654435761u ^ canonical(g, i / g->T, i % g->T, back);
      g->rows[i * g->tables + j] = (int32_t)(j * g->slots + slot_of(h, g->slots));
    }
}
/* rows[.., j] = j slots + |hash of table j| mod slots: hash = seed, then for each of the last n tokens, oldest first,
   hash = hash 2654435761 xor token. Tokens are map[ids]; `state` are the last ones of the block before, oldest first, `next`
   those of this one, as floats. An order beyond back + 1 counts as that. Ids lie within the map, slots * tables below 2^31: the
   caller checks.
   p: rows[B,T,tables] next?[B,back] ids[B,T] map seeds[tables] orders[tables/heads] state?[B,back] position?[B,T];
   n: B T tables heads back slots vocabulary */
KERNEL(ngram_rows) {
  ngrams g = {.rows = I(0), .ids = I(2), .map = I(3), .seeds = I(4), .orders = I(5), .state = F(6), .position = I(7), .T = L(1),
              .tables = L(2), .heads = L(3), .back = L(4), .slots = (int64_t)a->n[5]};
  parallel_for(L(0) * g.T, 64, ngram_tokens, &g);
  ngrams across = g;
  across.position = NULL;
  if (F(1))
    for (long b = 0; b < L(0); b++)
      for (long s = 0; s < g.back; s++) F(1)[b * g.back + s] = (float)canonical(&across, b, g.T, g.back - s);
}
