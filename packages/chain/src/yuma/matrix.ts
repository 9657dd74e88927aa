/** @file Vectors and square matrices of fixed-point numbers; [i, j] of an n x n matrix is at i * n + j. */
import { div, type Fixed, mul, ONE } from './fixed.ts';

export type Vector = Float64Array;
export type Matrix = Float64Array;

/** Entries of one row: uid and u16 value, no uid twice. */
export type SparseRow = readonly (readonly [uid: number, value: number])[];

/**
 * The rows as integers, not yet fixed point. Entry j of row i is left out unless uid j was registered before block
 * `before[i]`, since it was meant for whoever held the uid until then; so are uids from n on.
 */
export function dense(rows: readonly SparseRow[], registeredAt: readonly number[], before: readonly number[]): Matrix {
  const n = registeredAt.length;
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const limit = before[i] as number;
    for (const entry of rows[i] ?? []) {
      if (entry[0] < n && (registeredAt[entry[0]] as number) < limit) matrix[i * n + entry[0]] = entry[1];
    }
  }
  return matrix;
}

export function sum(x: Vector): Fixed {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += x[i] as number;
  return total;
}

/** x / total in place; as it is when `total` is 0. */
export function divideBy(x: Vector, total: Fixed): Vector {
  if (total !== 0) for (let i = 0; i < x.length; i++) x[i] = div(x[i] as number, total);
  return x;
}

export function normalize(x: Vector): Vector {
  return divideBy(x, sum(x));
}

/** Rows that sum to 1, in place; rows of zeros stay. Integers become fixed point. */
export function normalizeRows(matrix: Matrix, n: number): Matrix {
  for (let i = 0; i < n; i++) normalize(matrix.subarray(i * n, (i + 1) * n));
  return matrix;
}

/** Columns that sum to 1, in place; columns of zeros stay. Integers become fixed point. */
export function normalizeColumns(matrix: Matrix, n: number): Matrix {
  const totals = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) totals[j] = (totals[j] as number) + (matrix[i * n + j] as number);
  }
  return divideColumns(matrix, totals, n);
}

/** Columns whose largest entry is 1, in place. */
export function upscaleColumns(matrix: Matrix, n: number): Matrix {
  const largest = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) largest[j] = Math.max(largest[j] as number, matrix[i * n + j] as number);
  }
  return divideColumns(matrix, largest, n);
}

function divideColumns(matrix: Matrix, divisors: Vector, n: number): Matrix {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const value = matrix[i * n + j] as number;
      if (value !== 0) matrix[i * n + j] = div(value, divisors[j] as number);
    }
  }
  return matrix;
}

/** s_i m_ij */
export function scaleRows(matrix: Matrix, s: Vector): Matrix {
  const n = s.length;
  const scaled = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) scaled[i * n + j] = mul(s[i] as number, matrix[i * n + j] as number);
  }
  return scaled;
}

/** min(m_ij, c_j) */
export function clipColumns(matrix: Matrix, c: Vector): Matrix {
  const n = c.length;
  const clipped = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) clipped[i * n + j] = Math.min(matrix[i * n + j] as number, c[j] as number);
  }
  return clipped;
}

/** from + ratio * (to - from) */
export function interpolate(from: Matrix, to: Matrix, ratio: Fixed): Matrix {
  if (ratio === ONE) return to;
  const between = new Float64Array(from.length);
  for (let at = 0; at < from.length; at++) {
    const start = from[at] as number;
    between[at] = start + mul(ratio, (to[at] as number) - start);
  }
  return between;
}

/** sum_i s_i m_ij: one number per column */
export function weightedColumnSums(matrix: Matrix, s: Vector): Vector {
  const n = s.length;
  const sums = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const scale = s[i] as number;
    if (scale === 0) continue;
    for (let j = 0; j < n; j++) {
      const value = matrix[i * n + j] as number;
      if (value !== 0) sums[j] = (sums[j] as number) + mul(scale, value);
    }
  }
  return sums;
}

/** sum_j m_ij v_j: one number per row */
export function weightedRowSums(matrix: Matrix, v: Vector): Vector {
  const n = v.length;
  const sums = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let total = 0;
    for (let j = 0; j < n; j++) {
      const value = matrix[i * n + j] as number;
      if (value !== 0) total += mul(v[j] as number, value);
    }
    sums[i] = total;
  }
  return sums;
}

export function rowSums(matrix: Matrix, n: number): Vector {
  return Float64Array.from({ length: n }, (_, i) => sum(matrix.subarray(i * n, (i + 1) * n)));
}
