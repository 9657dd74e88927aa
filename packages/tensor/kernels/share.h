/* Which items of a parallel loop a thread takes next, the same for threads of the system and of WebAssembly. */
#ifndef SHARE_H
#define SHARE_H
#include "quasar.h"
#include <stdatomic.h>

/* Half an even share of what is left, at least `least`: few meetings of the threads in the beginning, and little to wait for at
   the end, where a thread whose core also does other work would hold up the rest. Returns 0 when nothing is left. */
static inline int take_items(atomic_long *next, long count, long least, int threads, long *begin, long *end) {
  *begin = atomic_load_explicit(next, memory_order_relaxed);
  do {
    if (*begin >= count) return 0;
    long left = count - *begin, share = left / (2 * threads) / least * least;
    *end = *begin + MIN(MAX(share, least), left);
  } while (!atomic_compare_exchange_weak_explicit(next, begin, *end, memory_order_relaxed, memory_order_relaxed));
  return 1;
}
#endif
