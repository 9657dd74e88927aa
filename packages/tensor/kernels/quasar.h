/* What every kernel file shares: the argument block, the thread pool, per-thread scratch memory. */
#ifndef QUASAR_H
#define QUASAR_H
#include <stddef.h>
#include <stdint.h>

/* p: buffers in the order that stands above the kernel's C source (NULL where optional); n: its numbers. Numbers that the
   caller leaves out at the end are 0. */
typedef struct {
  void *const *p;
  const double *n;
} args;

typedef void (*kernel_fn)(const args *);

/* How an operand is stored, as kernels take it among their numbers. Arithmetic is float whatever the storage. */
enum { TYPE_F32, TYPE_BF16, TYPE_F16 };
#define TYPE_BYTES(type) ((type) == TYPE_F32 ? 4 : 2)

/* Calls body(context, begin, end) on disjoint ranges that cover [0, count). Ranges hold at least `grain` items.
   Which thread runs which range is free; results must not depend on it. */
typedef void (*range_fn)(void *context, long begin, long end);
void parallel_for(long count, long grain, range_fn body, void *context);

void pool_start(int threads);
int pool_threads(void);

/* At least `bytes` of 64-byte aligned memory that belongs to the calling thread until its next call with this slot. */
enum { SCRATCH_PACK_A, SCRATCH_PACK_B, SCRATCH_KERNEL, SCRATCH_SLOTS };
void *scratch(int slot, size_t bytes);

/* Every kernel is compiled once per instruction set; the suffix keeps the copies apart. */
#define Q_JOIN2(a, b) a##_##b
#define Q_JOIN(a, b) Q_JOIN2(a, b)
#define KERNEL(name) void Q_JOIN(name, Q_ISA)(const args *a)

#define F(i) ((float *)a->p[i])
#define I(i) ((int32_t *)a->p[i])
#define L(i) ((long)a->n[i])
#define MIN(x, y) ((x) < (y) ? (x) : (y))
#define MAX(x, y) ((x) > (y) ? (x) : (y))
#endif
