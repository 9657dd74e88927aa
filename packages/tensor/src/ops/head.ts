/**
 * @file Losses and top k from hidden rows and a vocabulary head, tile by tile: logits [N, V] never exist, neither forward
 * nor backward. The head may have any storage type; its gradient is float.
 */
import { record, recording } from '../autograd.ts';
import { typeCode } from '../kernels.ts';
import { ShapeError, Tensor } from '../tensor.ts';
import type { TopK } from './vocabulary.ts';

/** Rows, vocabulary, width. @throws ShapeError */
function sizes(op: string, hidden: Tensor, head: Tensor): { N: number; V: number; d: number } {
  const [V, d] = [head.dim(0), head.dim(1)];
  if (hidden.dim(-1) !== d)
    throw new ShapeError(`${op}: inner dims differ: hidden [${hidden.shape}] · head [${head.shape}]`);
  return { N: hidden.size / d, V, d };
}

/** Per row [N], where asked for. */
export interface HeadLosses<Targets, Teacher> {
  crossEntropy: Targets extends Tensor ? Tensor : null;
  kl: Teacher extends TopK ? Tensor : null;
}

/**
 * Of the logits hidden [N, d] · head [V, d]ᵀ, per row: cross-entropy with the targets [N] (int; negative: none), as
 * `crossEntropy`, and KL from the teacher's top k plus tail, as `klTopK`; either or both. Backward makes the logits a second
 * time.
 */
export function headLoss<Targets extends Tensor | undefined, Teacher extends TopK | undefined>(
  hidden: Tensor,
  head: Tensor,
  targets: Targets,
  teacher: Teacher,
): HeadLosses<Targets, Teacher> {
  const { N, V, d } = sizes('headLoss', hidden, head);
  const K = teacher ? teacher.ids.dim(-1) : 0;
  if (targets && targets.size !== N) throw new ShapeError(`headLoss: ${targets.size} targets for ${N} rows`);
  if (teacher && (teacher.ids.size !== N * K || teacher.tail.size !== N))
    throw new ShapeError(`headLoss: ids [${teacher.ids.shape}] for ${N} rows`);
  const device = hidden.device;
  const row = (wanted: unknown) => (wanted ? Tensor.empty(device, [N]) : null);
  const [crossEntropy, kl, lse, lseTail] = [row(targets), row(teacher), row(true), row(teacher)];
  const buffers = (tensors: (Tensor | null | undefined)[]) => tensors.map((t) => t?.buffer ?? null);
  const given = [targets, teacher?.ids, teacher?.logprobs, teacher?.tail];
  const numbers = [N, V, d, K, typeCode(head.dtype)];
  device.run('head_loss', buffers([crossEntropy, kl, lse, lseTail, hidden, head, ...given]), numbers);
  const outputs = [crossEntropy, kl].filter((t) => t !== null);
  if (recording([hidden, head])) {
    record([hidden, head], outputs, (gradients) => {
      const incoming = [crossEntropy, kl].map((t) => t && gradients[outputs.indexOf(t)]);
      const dHidden = hidden.requiresGrad ? Tensor.empty(device, hidden.shape) : null;
      const dHead = head.requiresGrad ? Tensor.empty(device, head.shape) : null;
      const saved = [hidden, head, lse, lseTail, ...given];
      device.run('head_loss_backward', buffers([dHidden, dHead, ...saved, ...incoming]), numbers);
      return [dHidden, dHead];
    });
  }
  return { crossEntropy, kl } as HeadLosses<Targets, Teacher>;
}

/** As `topK` on the logits hidden [N, d] · head [V, d]ᵀ. Not differentiable. */
export function headTopK(hidden: Tensor, head: Tensor, K: number): TopK {
  const { N, V, d } = sizes('headTopK', hidden, head);
  if (K < 1 || K > V) throw new ShapeError(`headTopK: ${K} of ${V}`);
  const ids = Tensor.empty(hidden.device, [N, K], 'int');
  const logprobs = Tensor.empty(hidden.device, [N, K]);
  const tail = Tensor.empty(hidden.device, [N]);
  const buffers = [ids, logprobs, tail, hidden, head].map((t) => t.buffer);
  hidden.device.run('head_top_k', buffers, [N, V, d, K, typeCode(head.dtype)]);
  return { ids, logprobs, tail };
}
