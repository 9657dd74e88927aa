/* What one reading of the logits of two distributions leaves of their divergence. */
#ifndef DIVERGENCE_H
#define DIVERGENCE_H
#include "softmax.h"

enum { FORWARD_KL, REVERSE_KL };

/* Of the entries so far: the sums of e^((x - ref)/temperature), and the sum of first's terms times (first - second) + second's
   ref - first's ref. First is whose expectation the divergence is: the teacher of forward KL, the student of reverse KL. */
typedef struct {
  float ref[2], sum[2], distance;
} pair;

static inline void pair_raise(pair *p, int which, float ref, float inverse) {
  float change = ref - p->ref[which], shift = which == 0 ? -change : change, factor = q_exp(-change * inverse);
  if (p->sum[0] > 0.0f) p->distance = q_fma(p->sum[0], shift, p->distance);
  if (which == 0) p->distance *= factor;
  p->sum[which] *= factor;
  p->ref[which] = ref;
}
static inline void pair_add(pair *p, pair other, float inverse) {
  for (int w = 0; w < 2; w++) {
    if (other.ref[w] > p->ref[w]) pair_raise(p, w, other.ref[w], inverse);
    else if (other.ref[w] < p->ref[w]) pair_raise(&other, w, p->ref[w], inverse);
  }
  for (int w = 0; w < 2; w++) p->sum[w] += other.sum[w];
  p->distance += other.distance;
}
/* sum_v a_v (log a_v - log b_v), where a is first's softmax and b second's. */
static inline float pair_kl(const pair *p, float inverse) {
  return q_fma(p->distance / p->sum[0], inverse, q_log(p->sum[1] / p->sum[0]));
}
#endif
