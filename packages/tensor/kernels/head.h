/* The product of hidden rows with a vocabulary head, a tile of the vocabulary at a time, for kernels that use logits and
   forget them: [rows, vocabulary] never exists. Logits of a tile lie transposed, entry after entry with the rows side by side,
   so that all three products read their operands as they lie or as packed here, and softmax runs across rows.
   Threads split a tile by blocks of entries, and the gradient of the hidden rows by columns: no sum depends on them. */
#ifndef HEAD_H
#define HEAD_H
#include "quasar.h"
#include "gemm.h"
#include "half.h"
#include "softmax.h"

/* BLOCK entries are one unit of work; STRIPE is the width of packed panels; DEPTH of a sum goes through registers at once. */
enum { BLOCK = 112, STRIPE = 32, DEPTH = 384, MAX_CHUNK = 512, MAX_BLOCKS = 16 };
enum { PANEL = VW == 16 ? 14 : 12, PANEL_STEP = 16 };

#define ROUND_UP(x, unit) (((x) + (unit) - 1) / (unit) * (unit))

/* head[V,d] of any storage type. */
typedef struct {
  const char *data;
  int64_t V, d;
  int type;
} head;

/* Some hidden rows: transposed in stripes of rows [row / STRIPE][d][STRIPE], and where gradients are wanted in stripes of
   columns [column / STRIPE][rows][STRIPE]. */
typedef struct {
  const float *hidden;
  const int32_t *rows;
  int64_t count, padded, ld, d;
  float *by_rows, *by_columns;
} chunk;

/* Rows per chunk: near MAX_CHUNK, chunks as equal as stripes allow. */
static inline int64_t chunk_rows(int64_t N) {
  int64_t chunks = (N + MAX_CHUNK - 1) / MAX_CHUNK;
  return chunks ? ROUND_UP((N + chunks - 1) / chunks, STRIPE) : 0;
}
/* Parts of one block of scratch memory of the calling thread; other threads of its loops may use them. */
static inline void take_parts(void **parts, const size_t *sizes, size_t count) {
  size_t total = 0;
  for (size_t i = 0; i < count; i++) total += ROUND_UP(sizes[i], 64);
  char *at = scratch(SCRATCH_KERNEL, total);
  for (size_t i = 0; i < count; i++) {
    parts[i] = at;
    at += ROUND_UP(sizes[i], 64);
  }
}
/* Blocks per tile: a tile's part of the head takes 11 MB at most. Depends on the shape alone. */
static inline int64_t tile_blocks(int64_t V, int64_t d) {
  int64_t fit = (int64_t)MAX_BLOCKS * 1536 / MAX(d, 1536), all = (V + BLOCK - 1) / BLOCK;
  return MAX(1, MIN(fit, all));
}

static void pack_rows(void *context, long b, long e) {
  chunk *c = context;
  int64_t d = c->d;
  for (int64_t s = b; s < e; s++) {
    float *stripe = c->by_rows + s * STRIPE * d;
    int64_t at = s * STRIPE, n = MIN(STRIPE, c->count - at);
    if (n < STRIPE) memset(stripe, 0, STRIPE * d * sizeof(float));
    for (int64_t r = 0; r < n;) {
      int64_t run = 1;
      while (r + run < n && c->rows[at + r + run] == c->rows[at + r] + run) run++;
      transpose_small(run, d, c->hidden + c->rows[at + r] * d, d, stripe + r, STRIPE);
      r += run;
    }
  }
}
static void pack_columns(void *context, long b, long e) {
  chunk *c = context;
  for (int64_t s = b; s < e; s++) {
    int64_t width = MIN(STRIPE, c->d - s * STRIPE);
    float *to = c->by_columns + s * STRIPE * c->count;
    for (int64_t r = 0; r < c->count; r++, to += STRIPE)
      memcpy(to, c->hidden + c->rows[r] * c->d + s * STRIPE, width * sizeof(float));
  }
}
static inline void pack_chunk(chunk *c) {
  parallel_for((c->count + STRIPE - 1) / STRIPE, 1, pack_rows, c);
  if (c->by_columns) parallel_for((c->d + STRIPE - 1) / STRIPE, 1, pack_columns, c);
}

/* tile[n, ld] = head[v, v + n) hidden^T, rows beyond the chunk's up to `padded` zero. `copy`, if given, gets the entries of
   the head in stripes of columns [column / STRIPE][BLOCK][STRIPE]. */
static inline void head_block(const head *w, const chunk *c, int64_t v, int64_t n, float *tile, float *copy) {
  int64_t d = w->d, width = w->type == TYPE_F32 ? 4 : 2;
  int packs = c->padded > 2 * STRIPE;
  enum { PACKED = (BLOCK / PANEL + 1) * PANEL_STEP * DEPTH };
  float *packed = scratch(SCRATCH_PACK_A, (PACKED + BLOCK * DEPTH) * sizeof(float)), *wide = packed + PACKED;
  if (d == 0) memset(tile, 0, n * c->ld * sizeof(float));
  for (int64_t k = 0; k < d; k += DEPTH) {
    int64_t kn = MIN(DEPTH, d - k), ldw = d;
    const float *from = (const float *)w->data + v * d + k;
    if (w->type != TYPE_F32) {
      for (int64_t i = 0; i < n; i++) q_load(w->data + ((v + i) * d + k) * width, w->type, kn, wide + i * kn);
      from = wide, ldw = kn;
    }
    if (copy)
      for (int64_t j = 0; j < kn; j += STRIPE) {
        float *to = copy + (k + j) * BLOCK;
        for (int64_t i = 0; i < n; i++) memcpy(to + i * STRIPE, from + i * ldw + j, MIN(STRIPE, kn - j) * sizeof(float));
      }
    if (packs)
      for (int64_t i = 0, p = 0; i < n; i += PANEL, p++)
        transpose_small(MIN(PANEL, n - i), kn, from + i * ldw, ldw, packed + p * PANEL_STEP * kn, PANEL_STEP);
    for (int64_t t = 0; t < c->padded; t += STRIPE) {
      const float *stripe = c->by_rows + t * d + k * STRIPE;
      int64_t rows = MIN(STRIPE, c->padded - t);
      if (!packs) small_gemm(n, rows, kn, from, ldw, 1, stripe, STRIPE, tile + t, c->ld, k > 0);
      else
        for (int64_t i = 0, p = 0; i < n; i += PANEL, p++)
          small_gemm(MIN(PANEL, n - i), rows, kn, packed + p * PANEL_STEP * kn, 1, PANEL_STEP, stripe, STRIPE,
                     tile + i * c->ld + t, c->ld, k > 0);
    }
  }
}

/* The largest of tile[n, ld] per row, at least LOWEST: ref[padded]. */
static inline void block_max(const float *tile, int64_t n, int64_t ld, int64_t padded, float *ref) {
  for (int64_t t = 0; t < padded; t += LANES) {
    vf top[ROW_VECTORS];
    for (int c = 0; c < ROW_VECTORS; c++) top[c] = vset(LOWEST);
    for (int64_t v = 0; v < n; v++)
      for (int c = 0; c < ROW_VECTORS; c++) top[c] = vmax(vload(tile + v * ld + t + c * VW), top[c]);
    for (int c = 0; c < ROW_VECTORS; c++) vstore(ref + t + c * VW, top[c]);
  }
}
/* Softmax masses of tile[n, ld] per row: ref and sum [padded]. */
static inline void block_mass(const float *tile, int64_t n, int64_t ld, int64_t padded, float *ref, float *sum) {
  block_max(tile, n, ld, padded, ref);
  for (int64_t t = 0; t < padded; t += LANES) {
    vf all[ROW_VECTORS];
    for (int c = 0; c < ROW_VECTORS; c++) all[c] = vset(0.0f);
    for (int64_t v = 0; v < n; v++)
      for (int c = 0; c < ROW_VECTORS; c++) {
        vf top = vload(ref + t + c * VW), x = vload(tile + v * ld + t + c * VW);
        all[c] = vadd(all[c], vexp(vfma(top, vset(-1.0f), x)));
      }
    for (int c = 0; c < ROW_VECTORS; c++) vstore(sum + t + c * VW, all[c]);
  }
}

/* dhead[v, v + n) (+)= gradient of the logits tile[n, ld] times the hidden rows. */
static inline void head_gradient(const chunk *c, const float *tile, int64_t n, float *dhead, int add) {
  for (int64_t t = 0; t < c->count; t += DEPTH)
    for (int64_t k = 0; k < c->d; k += STRIPE)
      small_gemm(n, MIN(STRIPE, c->d - k), MIN(DEPTH, c->count - t), tile + t, c->ld, 1,
                 c->by_columns + k * c->count + t * STRIPE, STRIPE, dhead + k, c->d, add || t > 0);
}

/* dhidden[count, d] (+)= gradient of the logits, transposed, times the head's copies, over the blocks of a tile in order, for
   stripes [b, e) of columns. */
static inline void hidden_gradient(const chunk *c, const float *tile, const float *copy, int64_t entries, float *dhidden,
                                   int add, int64_t b, int64_t e) {
  int64_t step = ROUND_UP(c->d, STRIPE) * BLOCK;
  for (int64_t v = 0; v < entries; v += BLOCK, copy += step, tile += BLOCK * c->ld)
    for (int64_t s = b; s < e; s++)
      small_gemm(c->count, MIN(STRIPE, c->d - s * STRIPE), MIN(BLOCK, entries - v), tile, 1, c->ld, copy + s * STRIPE * BLOCK,
                 STRIPE, dhidden + s * STRIPE, c->d, add || v > 0);
}
#endif
