/** @file Reference norm per head with the rotation by position that follows it. */
import { rms_norm, rms_norm_backward } from './norm.ts';
import { rope } from './rope.ts';
import type { Numbers, ReferenceKernel } from './types.ts';

/** Query and gate of each head lie side by side in x where there is a gate: the queries, then the gates. */
function parts(x: Numbers, M: number, E: number, isGated: boolean): [Numbers, Numbers | null] {
  if (!isGated) return [x, null];
  const [query, gate] = [new Float64Array(M * E), new Float64Array(M * E)];
  for (let i = 0; i < M; i++) {
    query.set(x.subarray(2 * i * E, (2 * i + 1) * E), i * E);
    gate.set(x.subarray((2 * i + 1) * E, 2 * (i + 1) * E), i * E);
  }
  return [query, gate];
}

/** y = rope(rms(x) (w + offset)); the gate as it is. */
export const head_norm: ReferenceKernel = (p, n) => {
  const [y, gate, x, w, position] = p as [Numbers, Numbers | null, Numbers, Numbers, Numbers | null];
  const [rows, H, E, eps, offset, R, step, cutoff] = n;
  const [query, taken] = parts(x, rows * H, E, gate !== null);
  const normed = new Float64Array(rows * H * E);
  rms_norm([normed, query, w], [rows * H, E, eps, offset]);
  rope([y, normed, position ?? new Int32Array(rows)], [rows, H, E, R, step, cutoff, 1]);
  if (gate && taken) gate.set(taken);
};

/** The work buffer is not needed here. */
export const head_norm_backward: ReferenceKernel = (p, n) => {
  const [dx, dw, x, w, position, dy, dgate] = p as [
    Numbers,
    Numbers,
    Numbers,
    Numbers,
    Numbers | null,
    Numbers,
    Numbers | null,
  ];
  const [rows, H, E, eps, offset, R, step, cutoff] = n;
  const M = rows * H;
  const [query] = parts(x, M, E, dgate !== null);
  const [turned, found] = [new Float64Array(M * E), new Float64Array(M * E)];
  rope([turned, dy, position ?? new Int32Array(rows)], [rows, H, E, R, step, cutoff, -1]);
  rms_norm_backward([found, dw, query, w, turned], [M, E, eps, offset, 0]);
  for (let i = 0; i < M; i++) {
    dx.set(found.subarray(i * E, (i + 1) * E), i * E * (dgate ? 2 : 1));
    if (dgate) dx.set(dgate.subarray(i * E, (i + 1) * E), (2 * i + 1) * E);
  }
};
