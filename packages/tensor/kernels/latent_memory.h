/* Latent memory, causal form, architecture §3.8. A document is cut into segments of 64 tokens from its start. Tokens read
   the memory M [K,D] as it was before their segment, and a completed segment writes its summary:
     C_t = softmax(2 Q_t M^T) M,   Z = sum_t softmax_t(query m_t / sqrt D) m_t,   eta = max_t eta_t,
     a = softmax(Z M^T e^temperature / sqrt D),  M'_kd = M_kd + a_k eta sigmoid(channels_d) (Z_d - M_kd).
   A block of tokens is handled in pieces: a piece ends with its segment. */
#ifndef LATENT_MEMORY_H
#define LATENT_MEMORY_H
#include "rows.h"

enum { SEGMENT = 64 };

typedef struct {
  long B, T, K, D, room; /* room: pieces per sequence in states [B,room,K,D], the memory that each piece reads */
  const float *m, *eta, *q, *query, *channels, *temperature, *initial, *start, *open, *d_out, *d_end;
  const int32_t *position;
  float *out, *end, *end_open, *states;
  float *dm, *deta, *dq, *dquery, *dchannels, *dtemperature, *dinitial, *dstart, *dread, *parts;
  const long *starts; /* [B,room+1]: first token of each piece, then T */
} memory;

static inline long position_of(const memory *g, long b, long t) { return g->position ? g->position[b * g->T + t] : t; }
static inline long place_of(const memory *g, long b, long t) { return position_of(g, b, t) & (SEGMENT - 1); }
static inline int completes(const memory *g, long b, long end) { return place_of(g, b, end - 1) == SEGMENT - 1; }

/* First tokens of the pieces of sequence b, then T; returns how many pieces there are. */
static inline long cut_pieces(const memory *g, long b, long *starts) {
  long count = 0;
  for (long t = 0; t < g->T; t++)
    if (t == 0 || place_of(g, b, t) == 0) starts[count++] = t;
  starts[count] = g->T;
  return count;
}

/* Row `place` of the segment that token `last` closes or leaves open: from the block, or from the rows carried into it
   [B,SEGMENT-1,D+1], whose last column is eta. NULL where no such row was ever seen: its eta is -1. */
static inline const float *segment_row(const memory *g, long b, long last, long place, float *eta) {
  long t = last - place_of(g, b, last) + place;
  if (t >= 0) {
    *eta = g->eta[b * g->T + t];
    return g->m + (b * g->T + t) * g->D;
  }
  const float *row = g->open ? g->open + (b * (SEGMENT - 1) + place) * (g->D + 1) : NULL;
  *eta = row ? row[g->D] : -1.0f;
  return *eta < 0.0f ? NULL : row;
}

/* What a completed segment writes: weights of its rows, Z, eta and the row that has it, addresses, strengths per channel. */
typedef struct {
  float weight[SEGMENT], eta, *Z, *address, *strength; /* [D], [K], [D] */
  long strongest;
} summary;

static inline void summarise(const memory *g, long b, long last, const float *M, summary *s) {
  long D = g->D;
  float root = 1.0f / __builtin_sqrtf((float)D), scale = root * q_exp(g->temperature[0]);
  s->eta = -1.0f;
  s->strongest = 0;
  for (long r = 0; r < SEGMENT; r++) {
    float eta;
    const float *row = segment_row(g, b, last, r, &eta);
    s->weight[r] = row ? root * dot_fixed(g->query, row, D) : -Q_INF;
    if (eta > s->eta) s->eta = eta, s->strongest = r;
  }
  softmax_row(s->weight, SEGMENT);
  memset(s->Z, 0, D * sizeof(float));
  for (long r = 0; r < SEGMENT; r++) {
    float eta;
    const float *row = segment_row(g, b, last, r, &eta);
    if (row)
      for (long d = 0; d < D; d++) s->Z[d] = q_fma(s->weight[r], row[d], s->Z[d]);
  }
  for (long k = 0; k < g->K; k++) s->address[k] = scale * dot_fixed(s->Z, M + k * D, D);
  softmax_row(s->address, g->K);
  for (long d = 0; d < D; d++) s->strength[d] = s->eta * q_sigmoid(g->channels[d]);
}
#endif
