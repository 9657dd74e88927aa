/* parallel_for over WebAssembly threads that share one memory: the contract of kernels/pool.c. Each thread is an instance
   of the module in a worker (wasm/worker.js), which calls work(); the caller takes part in every loop. */
#include "quasar.h"
#include "share.h"
#include <stdatomic.h>

#define EXPORT(name) __attribute__((export_name(#name)))

/* `state` of the current loop: its number from bit 9 on, whether it can be joined, how many workers are inside. */
enum { SPIN_ROUNDS = 20000, JOINED = 255, OPEN = 256, LOOP = 512 };

static int thread_count = 1, may_block;
static atomic_uint state;
static atomic_long next_item;
static long item_count, item_grain;
static range_fn job_body;
static void *job_context;
static atomic_int sleepers, stopping, started, failed;
static atomic_int caller_waits; /* 1 while the caller sleeps until the last worker leaves */
static _Thread_local int inside;

static void drain(void) {
  long begin, end;
  inside = 1;
  while (take_items(&next_item, item_count, item_grain, thread_count, &begin, &end)) job_body(job_context, begin, end);
  inside = 0;
}

static int can_join(unsigned now, unsigned last) { return (now & OPEN) && now / LOOP != last; }

static void leave(void) {
  atomic_fetch_sub(&state, 1);
  if (atomic_exchange(&caller_waits, 0)) __builtin_wasm_memory_atomic_notify((int *)&caller_waits, 1);
}

/* What a worker does until stop(). */
EXPORT(work) void work(void) {
  unsigned last = 0, now;
  atomic_fetch_add(&started, 1);
  for (;;) {
    int spins = 0;
    while (!can_join(now = atomic_load(&state), last)) {
      if (atomic_load(&stopping)) return;
      if (++spins < SPIN_ROUNDS) continue;
      atomic_fetch_add(&sleepers, 1);
      __builtin_wasm_memory_atomic_wait32((int *)&state, (int)now, -1);
      atomic_fetch_sub(&sleepers, 1);
    }
    if (!atomic_compare_exchange_strong(&state, &now, now + 1)) continue;
    last = now / LOOP;
    drain();
    leave();
  }
}
/* For a worker whose work() trapped: the caller traps too, in place of waiting for ever. */
EXPORT(fail) void fail(void) {
  atomic_store(&failed, 1);
  if (inside) leave();
}

/* Workers join when they have started. `block`: the caller may sleep (the main thread of a browser may not). */
EXPORT(start) void start(int threads, int block) {
  thread_count = threads;
  may_block = block;
}
EXPORT(stop) void stop(void) {
  atomic_store(&stopping, 1);
  atomic_fetch_add(&state, LOOP);
  __builtin_wasm_memory_atomic_notify((int *)&state, -1);
}
/* Workers that have started so far. */
EXPORT(workers) int workers(void) { return atomic_load(&started); }

int pool_threads(void) { return thread_count; }

static void wait_for_workers(void) {
  unsigned now;
  for (int spins = 0; (now = atomic_load(&state)) & JOINED;) {
    if (++spins < SPIN_ROUNDS || !may_block) continue;
    atomic_store(&caller_waits, 1);
    if (atomic_load(&state) & JOINED) __builtin_wasm_memory_atomic_wait32((int *)&caller_waits, 1, -1);
    atomic_store(&caller_waits, 0);
  }
}

void parallel_for(long count, long grain, range_fn body, void *context) {
  if (count <= 0) return;
  if (grain < 1) grain = 1;
  if (inside || thread_count == 1 || count <= grain) {
    body(context, 0, count);
    return;
  }
  item_grain = grain;
  item_count = count;
  job_body = body;
  job_context = context;
  atomic_store(&next_item, 0);
  atomic_store(&state, (atomic_load(&state) / LOOP + 1) * LOOP + OPEN);
  if (atomic_load(&sleepers)) __builtin_wasm_memory_atomic_notify((int *)&state, -1);
  drain();
  atomic_fetch_and(&state, ~(unsigned)OPEN);
  wait_for_workers();
  if (atomic_load(&failed)) __builtin_trap();
}
