/* Between storage types; between equal types a copy, of ints too. */
#include "quasar.h"
#include "half.h"

typedef struct {
  char *out;
  const char *in;
  int type_out, type_in;
} cast_loop;

static void cast_range(void *context, long b, long e) {
  enum { BLOCK = 256 };
  cast_loop *c = context;
  long wide_out = TYPE_BYTES(c->type_out), wide_in = TYPE_BYTES(c->type_in);
  if (c->type_out == c->type_in) {
    memcpy(c->out + b * wide_out, c->in + b * wide_in, (size_t)((e - b) * wide_in));
    return;
  }
  for (long i = b; i < e; i += BLOCK) {
    float block[BLOCK];
    long count = MIN(BLOCK, e - i);
    q_load(c->in + i * wide_in, c->type_in, count, block);
    q_store(block, c->type_out, count, c->out + i * wide_out);
  }
}
/* out = in, rounded to the type of out: nearest, ties to even. p: out in; n: count typeOut typeIn */
KERNEL(cast) {
  cast_loop c = {.out = a->p[0], .in = a->p[1], .type_out = (int)a->n[1], .type_in = (int)a->n[2]};
  parallel_for(L(0), 8192, cast_range, &c);
}
