/* What the C peers share: the line protocol of bench/peers.js, a clock, filled memory. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* The number at "key": in a flat JSON object, 0 where there is none. */
static double number(const char *line, const char *key) {
  char quoted[64];
  snprintf(quoted, sizeof quoted, "\"%s\":", key);
  const char *at = strstr(line, quoted);
  return at ? atof(at + strlen(quoted)) : 0.0;
}

static int has(const char *line, const char *text) { return strstr(line, text) != NULL; }

static float *filled(size_t count) {
  float *x = aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64);
  if (!x) exit(1);
  uint32_t seed = 1;
  for (size_t i = 0; i < count; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = (float)(seed >> 8) / (1 << 23) - 1.0f;
  }
  return x;
}

/* FLOP or bytes of one repeat of the case last prepared, where the peer knows better than the asker. */
static double case_work;

/* Answers requests until the input ends. */
static void serve(const char *version, int (*prepare)(const char *line), void (*run)(int id), void (*drop)(int id)) {
  char line[4096];
  while (fgets(line, sizeof line, stdin)) {
    if (has(line, "\"op\":\"info\"")) printf("{\"version\":\"%s\"}\n", version);
    else if (has(line, "\"op\":\"prepare\"")) {
      int id = prepare(line);
      if (id < 0) printf("{\"error\":\"this peer has no such case\"}\n");
      else printf("{\"id\":%d,\"work\":%.0f}\n", id, case_work);
    } else if (has(line, "\"op\":\"time\"")) {
      int id = (int)number(line, "id"), repeats = (int)number(line, "repeats");
      double start = now();
      for (int i = 0; i < repeats; i++) run(id);
      printf("{\"seconds\":%.9g}\n", (now() - start) / repeats);
    } else if (has(line, "\"op\":\"drop\"")) {
      drop((int)number(line, "id"));
      printf("{}\n");
    } else printf("{\"error\":\"unknown op\"}\n");
    fflush(stdout);
  }
}
