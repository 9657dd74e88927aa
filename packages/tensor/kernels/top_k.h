/* The K best of a stream of (value, id): a heap of ranks with the worst on top, so that one comparison turns most away. */
#ifndef TOP_K_H
#define TOP_K_H
#include "scalar.h"

/* A number that orders like (value descending, id ascending); NaN ranks with -Infinity. */
static inline uint64_t rank_of(float x, int32_t id) {
  uint32_t bits = (uint32_t)q_float_bits(x == x ? x + 0.0f : -Q_INF);
  uint32_t key = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return (uint64_t)(uint32_t)~key << 32 | (uint32_t)id;
}
static inline int32_t rank_id(uint64_t rank) { return (int32_t)(uint32_t)rank; }
static inline float rank_value(uint64_t rank) {
  uint32_t key = ~(uint32_t)(rank >> 32);
  return q_bits_float((int32_t)(key & 0x80000000u ? key & 0x7fffffffu : ~key));
}

/* Makes a heap of heap[0, n) again after heap[at] shrank. */
static inline void heap_sink(uint64_t *heap, int64_t n, int64_t at) {
  uint64_t rank = heap[at];
  for (int64_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && heap[child + 1] > heap[child]) child++;
    if (heap[child] <= rank) break;
    heap[at] = heap[child];
  }
  heap[at] = rank;
}
static inline void heap_make(uint64_t *heap, int64_t n) {
  for (int64_t at = n / 2; at-- > 0;) heap_sink(heap, n, at);
}
/* Best first. */
static inline void heap_sort(uint64_t *heap, int64_t n) {
  while (n > 1) {
    uint64_t worst = heap[0];
    heap[0] = heap[--n];
    heap[n] = worst;
    heap_sink(heap, n, 0);
  }
}
#endif
