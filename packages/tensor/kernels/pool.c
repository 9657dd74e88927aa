/* One thread pool for the whole process: workers spin briefly for the next loop, then sleep. It serves one loop at a time;
   a loop that another JavaScript thread starts meanwhile runs on its own thread alone. The caller works too and waits
   only for workers that joined its loop, so a worker that the system has not scheduled delays nobody. */
#define _GNU_SOURCE
#include "quasar.h"
#include "share.h"
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#define relax() __builtin_ia32_pause()
#else
#define relax() ((void)0)
#endif

/* `state` of the current loop: its number from bit 9 on, whether it can be joined, how many workers are inside. */
enum { MAX_THREADS = 64, SPIN_ROUNDS = 4000, JOINED = 255, OPEN = 256, LOOP = 512 };

static atomic_int thread_count = 1;
static atomic_ulong state;
static atomic_long next_item;
static long item_count, item_grain;
static range_fn job_body;
static void *job_context;
static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER; /* held by the thread whose loop runs */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static atomic_int sleepers;
static _Thread_local int inside;

static void drain(void) {
  long begin, end;
  inside = 1;
  while (take_items(&next_item, item_count, item_grain, thread_count, &begin, &end)) job_body(job_context, begin, end);
  inside = 0;
}

static int can_join(unsigned long now, unsigned long last) { return (now & OPEN) && now / LOOP != last; }

static void *worker(void *unused) {
  (void)unused;
  unsigned long last = 0, now;
  for (;;) {
    int spins = 0;
    while (!can_join(now = atomic_load(&state), last)) {
      if (++spins < SPIN_ROUNDS) {
        relax();
        continue;
      }
      pthread_mutex_lock(&mutex);
      atomic_fetch_add(&sleepers, 1);
      while (!can_join(atomic_load(&state), last)) pthread_cond_wait(&wake, &mutex);
      atomic_fetch_sub(&sleepers, 1);
      pthread_mutex_unlock(&mutex);
    }
    if (!atomic_compare_exchange_strong(&state, &now, now + 1)) continue;
    last = now / LOOP;
    drain();
    atomic_fetch_sub_explicit(&state, 1, memory_order_release);
  }
  return NULL;
}

/* Node unloads an addon when the last worker thread that loaded it ends; ours must outlive its own threads. */
static void stay_loaded(void) {
  static int done;
  Dl_info here;
  if (!done && dladdr((void *)&thread_count, &here)) done = dlopen(here.dli_fname, RTLD_NOW) != NULL;
}

void pool_start(int threads) {
  if (threads > MAX_THREADS) threads = MAX_THREADS;
  pthread_mutex_lock(&busy);
  if (threads > 1) stay_loaded();
  for (; thread_count < threads; thread_count++) {
    pthread_t id;
    if (pthread_create(&id, NULL, worker, NULL)) break;
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
  item_grain = grain;
  item_count = count;
  job_body = body;
  job_context = context;
  atomic_store(&next_item, 0);
  atomic_store(&state, (atomic_load(&state) / LOOP + 1) * LOOP + OPEN);
  if (atomic_load(&sleepers)) {
    pthread_mutex_lock(&mutex);
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&mutex);
  }
  drain();
  atomic_fetch_and(&state, ~(unsigned long)OPEN);
  for (int spins = 0; atomic_load_explicit(&state, memory_order_acquire) & JOINED;) {
    if (++spins < SPIN_ROUNDS) relax();
    else sched_yield();
  }
  pthread_mutex_unlock(&busy);
}

void *scratch(int slot, size_t bytes) {
  static _Thread_local void *memory[SCRATCH_SLOTS];
#ifdef Q_EXACT /* for sanitizers: no byte more than asked for, nothing left from the call before */
  free(memory[slot]);
  if (posix_memalign(&memory[slot], 64, bytes)) abort();
  memset(memory[slot], 0xff, bytes);
#else
  static _Thread_local size_t size[SCRATCH_SLOTS];
  if (size[slot] < bytes) {
    free(memory[slot]);
    bytes = (bytes + 4095) / 4096 * 4096;
    memory[slot] = aligned_alloc(64, bytes);
    if (!memory[slot]) abort();
    size[slot] = bytes;
  }
#endif
  return memory[slot];
}
