/* One thread pool for the whole process: workers spin briefly for the next loop, then sleep. It serves one loop at a time;
   a loop that another JavaScript thread starts meanwhile runs on its own thread alone. */
#define _GNU_SOURCE
#include "quasar.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__x86_64__)
#define relax() __builtin_ia32_pause()
#else
#define relax() ((void)0)
#endif

enum { MAX_THREADS = 64, SPIN_ROUNDS = 4000 };

static atomic_int thread_count = 1;
static atomic_ulong generation;
static atomic_long next_item;
static atomic_int running;
static long item_count, item_step;
static range_fn job_body;
static void *job_context;
static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER; /* held by the thread whose loop runs */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static atomic_int sleepers;
static _Thread_local int inside;

static void drain(void) {
  inside = 1;
  for (;;) {
    long begin = atomic_fetch_add_explicit(&next_item, item_step, memory_order_relaxed);
    if (begin >= item_count) break;
    job_body(job_context, begin, MIN(begin + item_step, item_count));
  }
  inside = 0;
}

static void *worker(void *joined) {
  unsigned long seen = (unsigned long)(uintptr_t)joined; /* the first loop is the next one */
  for (;;) {
    int spins = 0;
    while (atomic_load_explicit(&generation, memory_order_acquire) == seen) {
      if (++spins < SPIN_ROUNDS) {
        relax();
        continue;
      }
      pthread_mutex_lock(&mutex);
      atomic_fetch_add(&sleepers, 1);
      while (atomic_load(&generation) == seen) pthread_cond_wait(&wake, &mutex);
      atomic_fetch_sub(&sleepers, 1);
      pthread_mutex_unlock(&mutex);
    }
    seen = atomic_load_explicit(&generation, memory_order_acquire);
    drain();
    atomic_fetch_sub_explicit(&running, 1, memory_order_release);
  }
  return NULL;
}

void pool_start(int threads) {
  if (threads > MAX_THREADS) threads = MAX_THREADS;
  pthread_mutex_lock(&busy);
  for (; thread_count < threads; thread_count++) {
    pthread_t id;
    if (pthread_create(&id, NULL, worker, (void *)(uintptr_t)atomic_load(&generation))) break;
    pthread_detach(id);
  }
  pthread_mutex_unlock(&busy);
}

int pool_threads(void) { return thread_count; }

void parallel_for(long count, long grain, range_fn body, void *context) {
  if (count <= 0) return;
  if (grain < 1) grain = 1;
  if (inside || thread_count == 1 || count <= grain || pthread_mutex_trylock(&busy)) {
    body(context, 0, count);
    return;
  }
  long step = (count + thread_count * 4 - 1) / (thread_count * 4);
  item_step = MAX(step, grain);
  item_count = count;
  job_body = body;
  job_context = context;
  atomic_store(&next_item, 0);
  atomic_store(&running, thread_count - 1);
  atomic_fetch_add_explicit(&generation, 1, memory_order_seq_cst);
  if (atomic_load(&sleepers)) {
    pthread_mutex_lock(&mutex);
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&mutex);
  }
  drain();
  for (int spins = 0; atomic_load_explicit(&running, memory_order_acquire);) {
    if (++spins < SPIN_ROUNDS) relax();
    else sched_yield();
  }
  pthread_mutex_unlock(&busy);
}

void *scratch(int slot, size_t bytes) {
  static _Thread_local void *memory[SCRATCH_SLOTS];
  static _Thread_local size_t size[SCRATCH_SLOTS];
  if (size[slot] < bytes) {
    free(memory[slot]);
    bytes = (bytes + 4095) / 4096 * 4096;
    memory[slot] = aligned_alloc(64, bytes);
    if (!memory[slot]) abort();
    size[slot] = bytes;
  }
  return memory[slot];
}
