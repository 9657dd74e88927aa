/** @file Reference losses and top k from hidden rows and a vocabulary head: the logits, then what is done with given ones. */
import { gemm } from './gemm.ts';
import { cross_entropy, cross_entropy_backward, divergence, kl_top_k, kl_top_k_backward, top_k } from './loss.ts';
import type { Numbers, ReferenceKernel } from './types.ts';

const numbers = (count: number): Numbers => new Float64Array(count);

/** hidden[N,d] head[V,d]^T. */
function logitsOf(hidden: Numbers, head: Numbers, N: number, V: number, d: number): Numbers {
  const logits = numbers(N * V);
  gemm([hidden, head, logits], [N, V, d, 0, 1, 0, 1, 0, 0, 0]);
  return logits;
}

/** dhidden = dlogits head, dhead = dlogits^T hidden. */
function productBackward(
  [dhidden, dhead, hidden, head]: (Numbers | null)[],
  dlogits: Numbers,
  N: number,
  V: number,
  d: number,
): void {
  if (dhidden) gemm([dlogits, head as Numbers, dhidden], [N, d, V, 0, 0, 0, 1, 0, 0, 0]);
  if (dhead) gemm([dlogits, hidden as Numbers, dhead], [V, d, N, 1, 0, 0, 1, 0, 0, 0]);
}

/** cross_entropy and kl_top_k of the same logits; without a teacher, a row without a target gives 0 everywhere. */
export const head_loss: ReferenceKernel = (p, n) => {
  const [ce, kl, lse, lseTail, hidden, head, targets, ids, logp, tail] = p as Numbers[];
  const [N, V, d, K] = n;
  const logits = logitsOf(hidden, head, N, V, d);
  if (kl) kl_top_k([kl, lse, lseTail, logits, ids, logp, tail], [N, V, K]);
  if (!ce) return;
  cross_entropy([ce, lse, logits, targets], [N, V]);
  for (let i = 0; !kl && i < N; i++) if (targets[i] < 0) lse[i] = 0;
};

export const head_loss_backward: ReferenceKernel = (p, n) => {
  const [, , hidden, head, lse, lseTail, targets, ids, logp, tail, dce, dkl] = p as Numbers[];
  const [N, V, d, K] = n;
  const logits = logitsOf(hidden, head, N, V, d);
  const [dlogits, ofKl] = [numbers(N * V), numbers(N * V)];
  if (dce) cross_entropy_backward([dlogits, logits, lse, targets, dce], [N, V]);
  if (dkl) kl_top_k_backward([ofKl, logits, lse, lseTail, ids, logp, tail, dkl], [N, V, K]);
  for (let i = 0; i < N * V; i++) dlogits[i] += ofKl[i];
  productBackward(p as Numbers[], dlogits, N, V, d);
};

export const head_top_k: ReferenceKernel = (p, n) => {
  const [ids, logp, tail, hidden, head] = p as Numbers[];
  const [N, V, d, K] = n;
  top_k([ids, logp, tail, logitsOf(hidden, head, N, V, d)], [N, V, K]);
};

export const head_divergence: ReferenceKernel = (p, n) => {
  const [loss, lse, lseTeacher, hidden, head, hiddenTeacher, headTeacher] = p as Numbers[];
  const [N, V, d, dt, direction, temperature] = n;
  const student = logitsOf(hidden, head, N, V, d);
  const teacher = logitsOf(hiddenTeacher, headTeacher, N, V, dt);
  divergence([loss, null, student, teacher, null], [N, V, direction, temperature]);
  const none = new Int32Array(N);
  for (const [logits, to] of [[student, lse] as const, [teacher, lseTeacher] as const]) {
    cross_entropy([numbers(N), to, logits.map((x) => x / temperature), none], [N, V]);
  }
};

export const head_divergence_backward: ReferenceKernel = (p, n) => {
  const [, , hidden, head, hiddenTeacher, headTeacher, , , , dloss] = p as Numbers[];
  const [N, V, d, dt, direction, temperature] = n;
  const student = logitsOf(hidden, head, N, V, d);
  const teacher = logitsOf(hiddenTeacher, headTeacher, N, V, dt);
  const dlogits = numbers(N * V);
  divergence([numbers(N), dlogits, student, teacher, dloss], [N, V, direction, temperature]);
  productBackward(p as Numbers[], dlogits, N, V, d);
};
