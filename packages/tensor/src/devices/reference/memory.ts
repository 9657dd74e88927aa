/**
 * @file Reference latent memory, causal form. Token t reads M as it was before its segment of 64; a completed segment
 * writes:
 *
 *   C_t = softmax(2 Q_t M^T) M,  Z = sum_t softmax_t(query m_t / sqrt D) m_t,  eta = max_t eta_t,
 *   a = softmax(Z M^T e^temperature / sqrt D),  M'_kd = M_kd + a_k eta sigmoid(channels_d) (Z_d - M_kd)
 */
import { sigmoid, sigmoidSlope } from './scalar.ts';
import type { Numbers, ReferenceKernel } from './types.ts';

const SEGMENT = 64;

type Optional = Numbers | null;

interface Shape {
  T: number;
  K: number;
  D: number;
  room: number;
  position: Optional;
}

interface Weights {
  query: Numbers;
  channels: Numbers;
  temperature: number;
}

function rows(x: Numbers, row: number, width: number): Numbers {
  return x.subarray(row * width, (row + 1) * width);
}
function dot(x: Numbers, y: Numbers): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}
function softmax(x: Float64Array): Float64Array {
  const top = x.reduce((a, b) => Math.max(a, b));
  const p = x.map((z) => Math.exp(z - top));
  const total = p.reduce((a, b) => a + b);
  return p.map((z) => z / total);
}

function positionOf({ T, position }: Shape, b: number, t: number): number {
  return position ? position[b * T + t] : t;
}

interface Piece {
  from: number;
  to: number;
  resets: boolean;
  completes: boolean;
}

/** Tokens of sequence b, cut where a segment begins. */
function pieces(g: Shape, b: number): Piece[] {
  const found: Piece[] = [];
  for (let t = 0; t < g.T; t++) {
    const at = positionOf(g, b, t);
    if (t === 0 || at % SEGMENT === 0) found.push({ from: t, to: t, resets: at === 0, completes: false });
    const last = found[found.length - 1];
    last.to = t + 1;
    last.completes = at % SEGMENT === SEGMENT - 1;
  }
  return found;
}

/** A row of a segment; `t` is its token in this block, null for a row carried in. */
interface Row {
  place: number;
  t: number | null;
  m: Numbers;
  eta: number;
}

/** Rows seen so far of the segment that token `last` belongs to. */
function segmentRows(g: Shape, b: number, last: number, m: Numbers, eta: Numbers, open: Optional): Row[] {
  const found: Row[] = [];
  const places = positionOf(g, b, last) % SEGMENT;
  for (let place = 0; place <= places; place++) {
    const t = last - places + place;
    if (t >= 0) found.push({ place, t, m: rows(m, b * g.T + t, g.D), eta: eta[b * g.T + t] });
    else if (open) {
      const row = rows(open, b * (SEGMENT - 1) + place, g.D + 1);
      if (row[g.D] >= 0) found.push({ place, t: null, m: row.subarray(0, g.D), eta: row[g.D] });
    }
  }
  return found;
}

interface Summary {
  weight: Float64Array;
  Z: Float64Array;
  strongest: number;
  eta: number;
  logit: Float64Array;
  address: Float64Array;
  strength: Float64Array;
}

function summarise(g: Shape, found: Row[], M: Float64Array, w: Weights): Summary {
  const root = 1 / Math.sqrt(g.D);
  const weight = softmax(Float64Array.from(found, ({ m }) => root * dot(w.query, m)));
  const Z = new Float64Array(g.D);
  let strongest = 0;
  for (const [i, row] of found.entries()) {
    for (let d = 0; d < g.D; d++) Z[d] += weight[i] * row.m[d];
    if (row.eta > found[strongest].eta) strongest = i;
  }
  const { eta } = found[strongest];
  const scale = root * Math.exp(w.temperature);
  const logit = Float64Array.from({ length: g.K }, (_, k) => scale * dot(Z, rows(M, k, g.D)));
  const strength = Float64Array.from(w.channels, (c) => eta * sigmoid(c));
  return { weight, Z, strongest, eta, logit, address: softmax(logit), strength };
}

function readWeights(g: Shape, q: Numbers, M: Numbers): Float64Array {
  return softmax(Float64Array.from({ length: g.K }, (_, k) => 2 * dot(q, rows(M, k, g.D))));
}

export const latent_memory: ReferenceKernel = (p, n) => {
  const [out, end, endOpen, states, m, eta, q, query, channels, temperature, initial] = p as Numbers[];
  const [start, open, position] = p.slice(11) as Optional[];
  const [B, T, K, D, room] = n;
  const g: Shape = { T, K, D, room, position };
  const w = { query, channels, temperature: temperature[0] };
  const size = K * D;
  for (let b = 0; b < B; b++) {
    const M = Float64Array.from(start ? rows(start, b, size) : initial);
    for (const [i, piece] of pieces(g, b).entries()) {
      if (piece.resets) M.set(initial);
      rows(states, b * room + i, size).set(M);
      for (let t = piece.from; t < piece.to; t++) {
        const weight = readWeights(g, rows(q, b * T + t, D), M);
        for (let d = 0; d < D; d++) {
          let sum = 0;
          for (let k = 0; k < K; k++) sum += weight[k] * M[k * D + d];
          out[(b * T + t) * D + d] = sum;
        }
      }
      if (!piece.completes) continue;
      const s = summarise(g, segmentRows(g, b, piece.to - 1, m, eta, open), M, w);
      for (let x = 0; x < size; x++) {
        M[x] += s.address[Math.floor(x / D)] * s.strength[x % D] * (s.Z[x % D] - M[x]);
      }
    }
    rows(end, b, size).set(M);
    const openSize = (SEGMENT - 1) * (D + 1);
    const kept = rows(endOpen, b, openSize);
    if (T === 0 && open) kept.set(rows(open, b, openSize));
    else {
      kept.fill(0);
      for (let place = 0; place < SEGMENT - 1; place++) kept[place * (D + 1) + D] = -1;
      if (T === 0 || positionOf(g, b, T - 1) % SEGMENT === SEGMENT - 1) continue;
      for (const row of segmentRows(g, b, T - 1, m, eta, open)) {
        kept.set(row.m, row.place * (D + 1));
        kept[row.place * (D + 1) + D] = row.eta;
      }
    }
  }
};

/** Nothing flows into carried rows. */
export const latent_memory_backward: ReferenceKernel = (p, n) => {
  const [dm, deta, dq, dquery, dchannels, dtemperature, dinitial] = p as Numbers[];
  const dstart = p[7] as Optional;
  const [states, m, eta, q, query, channels, temperature] = p.slice(8, 15) as Numbers[];
  const [open, position] = [p[15] as Optional, p[16] as Optional];
  const dC = p[17] as Numbers;
  const dend = p[18] as Optional;
  const [B, T, K, D, room] = n;
  const g: Shape = { T, K, D, room, position };
  const w = { query, channels, temperature: temperature[0] };
  const size = K * D;
  const root = 1 / Math.sqrt(D);
  const [sumQuery, sumChannels, sumInitial] = [D, D, size].map((length) => new Float64Array(length));
  let sumTemperature = 0;
  dm.fill(0);
  deta.fill(0);
  for (let b = 0; b < B; b++) {
    const dM = dend ? Float64Array.from(rows(dend, b, size)) : new Float64Array(size);
    for (const [i, piece] of [...pieces(g, b).entries()].reverse()) {
      const M = Float64Array.from(rows(states, b * room + i, size));
      if (piece.completes) {
        const found = segmentRows(g, b, piece.to - 1, m, eta, open);
        const s = summarise(g, found, M, w);
        const [dZ, dstrength, da] = [D, D, K].map((length) => new Float64Array(length));
        for (let x = 0; x < size; x++) {
          const [k, d] = [Math.floor(x / D), x % D];
          const pull = s.Z[d] - M[x];
          da[k] += dM[x] * s.strength[d] * pull;
          dstrength[d] += dM[x] * s.address[k] * pull;
          dZ[d] += dM[x] * s.address[k] * s.strength[d];
          dM[x] *= 1 - s.address[k] * s.strength[d];
        }
        const mean = dot(s.address, da);
        const scale = root * Math.exp(w.temperature);
        for (let k = 0; k < K; k++) {
          const dx = s.address[k] * (da[k] - mean);
          sumTemperature += dx * s.logit[k];
          for (let d = 0; d < D; d++) {
            dZ[d] += scale * dx * M[k * D + d];
            dM[k * D + d] += scale * dx * s.Z[d];
          }
        }
        let detaSegment = 0;
        for (let d = 0; d < D; d++) {
          detaSegment += dstrength[d] * sigmoid(channels[d]);
          sumChannels[d] += dstrength[d] * s.eta * sigmoidSlope(channels[d]);
        }
        const dweight = Float64Array.from(found, (row) => dot(dZ, row.m));
        const total = dot(s.weight, dweight);
        for (const [r, row] of found.entries()) {
          const du = root * s.weight[r] * (dweight[r] - total);
          for (let d = 0; d < D; d++) {
            sumQuery[d] += du * row.m[d];
            if (row.t !== null) dm[(b * T + row.t) * D + d] = du * query[d] + s.weight[r] * dZ[d];
          }
          if (r === s.strongest && row.t !== null) deta[b * T + row.t] = detaSegment;
        }
      }
      for (let t = piece.from; t < piece.to; t++) {
        const [qt, d] = [rows(q, b * T + t, D), rows(dC, b * T + t, D)];
        const weight = readWeights(g, qt, M);
        const dP = Float64Array.from(weight, (_, k) => dot(d, rows(M, k, D)));
        const mean = dot(weight, dP);
        const sum = new Float64Array(D);
        for (let k = 0; k < K; k++) {
          const dS = 2 * weight[k] * (dP[k] - mean);
          for (let c = 0; c < D; c++) {
            sum[c] += dS * M[k * D + c];
            dM[k * D + c] += dS * qt[c] + weight[k] * d[c];
          }
        }
        dq.set(sum, (b * T + t) * D);
      }
      if (piece.resets) {
        for (let x = 0; x < size; x++) sumInitial[x] += dM[x];
        dM.fill(0);
      }
    }
    if (dstart) rows(dstart, b, size).set(dM);
    else for (let x = 0; x < size; x++) sumInitial[x] += dM[x];
  }
  dquery.set(sumQuery);
  dchannels.set(sumChannels);
  dtemperature[0] = sumTemperature;
  dinitial.set(sumInitial);
};
