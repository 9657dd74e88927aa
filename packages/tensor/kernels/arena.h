/* Memory of tensors, on huge pages where the system has them: a weight matrix then needs a few address translations in
   place of thousands. From 2 MiB on a block is a mapping of its own; smaller ones are cut from regions, and a region goes
   back to the system when the last of its blocks does. */
#ifndef ARENA_H
#define ARENA_H
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 1 << 21, REGION = 1 << 24, COLOURS = 31, COLOUR_STEP = 4096 + 64 };

typedef struct {
  size_t used; /* bytes from the start of the region, which holds this header */
  long blocks;
} arena_region;

static pthread_mutex_t arena_mutex = PTHREAD_MUTEX_INITIALIZER;
static arena_region *arena_current;
static unsigned arena_colour;

static size_t arena_mapped(size_t bytes) { return (bytes + 4095) & ~(size_t)4095; }

/* `align`, a power of two, is a multiple of the page size. */
static void *arena_map(size_t bytes, size_t align) {
  size_t length = arena_mapped(bytes);
  char *raw = mmap(NULL, length + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return NULL;
  char *at = (char *)(((uintptr_t)raw + align - 1) & ~(uintptr_t)(align - 1));
  if (at > raw) munmap(raw, (size_t)(at - raw));
  munmap(at + length, (size_t)(raw + align - at));
#ifdef MADV_HUGEPAGE
  madvise(at, length, MADV_HUGEPAGE);
#endif
  return at;
}

/* 64-byte aligned; NULL when the system has no more. */
static void *arena_alloc(size_t bytes) {
  bytes = (bytes + 63) & ~(size_t)63;
  char *block = NULL;
  pthread_mutex_lock(&arena_mutex);
  if (bytes >= HUGE_PAGE) {
    /* Blocks that all began at a multiple of 2 MiB would fall into the same sets of the caches. */
    size_t colour = arena_colour++ % COLOURS * COLOUR_STEP;
    block = arena_map(bytes + colour, HUGE_PAGE);
    if (block) block += colour;
  } else {
    if (!arena_current || arena_current->used + bytes > REGION) {
      arena_region *fresh = arena_map(REGION, REGION);
      if (fresh) fresh->used = 64, fresh->blocks = 0, arena_current = fresh;
    }
    if (arena_current && arena_current->used + bytes <= REGION) {
      block = (char *)arena_current + arena_current->used;
      arena_current->used += bytes;
      arena_current->blocks++;
    }
  }
  pthread_mutex_unlock(&arena_mutex);
  return block;
}

/* `bytes` as they were asked for. */
static void arena_free(void *block, size_t bytes) {
  if (!block) return;
  bytes = (bytes + 63) & ~(size_t)63;
  if (bytes >= HUGE_PAGE) {
    char *start = (char *)((uintptr_t)block & ~(uintptr_t)(HUGE_PAGE - 1));
    munmap(start, arena_mapped((size_t)((char *)block - start) + bytes));
    return;
  }
  pthread_mutex_lock(&arena_mutex);
  arena_region *region = (arena_region *)((uintptr_t)block & ~(uintptr_t)(REGION - 1));
  if (--region->blocks == 0) {
    if (region == arena_current) region->used = 64;
    else munmap(region, REGION);
  }
  pthread_mutex_unlock(&arena_mutex);
}
#endif
