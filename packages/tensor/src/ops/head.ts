/**
 * @file Losses and top k from hidden rows and a vocabulary head, tile by tile: logits [N, V] never exist, neither forward
 * nor backward. The head may have any storage type; its gradient is float.
 */
import { record, recording } from '../autograd.ts';
import { typeCode } from '../kernels.ts';
import { ShapeError, Tensor } from '../tensor.ts';
import { linear } from './linear.ts';
import { crossEntropy, type DivergenceOptions, klTopK, type TopK } from './vocabulary.ts';

/** Rows, vocabulary, width. @throws ShapeError */
function sizes(op: string, hidden: Tensor, head: Tensor): { N: number; V: number; d: number } {
  const [V, d] = [head.dim(0), head.dim(1)];
  if (hidden.dim(-1) !== d)
    throw new ShapeError(`${op}: inner dims differ: hidden [${hidden.shape}] · head [${head.shape}]`);
  return { N: hidden.size / d, V, d };
}

/**
 * Up to this many entries a recording loss keeps its logits: making them a second time costs more than it saves. Depends on
 * the vocabulary alone, so that a row's bits do not depend on how many others there are.
 */
const KEPT = 4096;

/** Per row [N], where asked for. */
export interface HeadLosses<Targets, Teacher> {
  crossEntropy: Targets extends Tensor ? Tensor : null;
  kl: Teacher extends TopK ? Tensor : null;
}

/**
 * Of the logits hidden [N, d] · head [V, d]ᵀ, per row: cross-entropy with the targets [N] (int; negative: none), as
 * `crossEntropy`, and KL from the teacher's top k plus tail, as `klTopK`; either or both. Backward makes the logits a second
 * time, except those of a small vocabulary.
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
  if (V <= KEPT && head.dtype === 'float' && recording([hidden, head])) {
    const logits = linear(hidden, head);
    const kept = {
      crossEntropy: targets ? crossEntropy(logits, targets) : null,
      kl: teacher ? klTopK(logits, teacher) : null,
    };
    return kept as HeadLosses<Targets, Teacher>;
  }
  const device = hidden.device;
  const row = (wanted: unknown) => (wanted ? Tensor.empty(device, [N]) : null);
  const [ce, kl, lse, lseTail] = [row(targets), row(teacher), row(true), row(teacher)];
  const buffers = (tensors: (Tensor | null | undefined)[]) => tensors.map((t) => t?.buffer ?? null);
  const given = [targets, teacher?.ids, teacher?.logprobs, teacher?.tail];
  const numbers = [N, V, d, K, typeCode(head.dtype)];
  device.run('head_loss', buffers([ce, kl, lse, lseTail, hidden, head, ...given]), numbers);
  const outputs = [ce, kl].filter((t) => t !== null);
  if (recording([hidden, head])) {
    record([hidden, head], outputs, (gradients) => {
      const incoming = [ce, kl].map((t) => t && gradients[outputs.indexOf(t)]);
      const dHidden = hidden.requiresGrad ? Tensor.empty(device, hidden.shape) : null;
      const dHead = head.requiresGrad ? Tensor.empty(device, head.shape) : null;
      const saved = [hidden, head, lse, lseTail, ...given];
      device.run('head_loss_backward', buffers([dHidden, dHead, ...saved, ...incoming]), numbers);
      return [dHidden, dHead];
    });
  }
  return { crossEntropy: ce, kl } as HeadLosses<Targets, Teacher>;
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

/** Hidden rows [N, d] and the head [V, d] that turns them into logits. */
export interface HeadOperands {
  hidden: Tensor;
  head: Tensor;
}

/**
 * KL between the whole distributions of student and teacher, per row [N], as `divergence` on their logits. Backward makes the
 * logits a second time; gradients flow to the student alone.
 */
export function headDivergence(
  student: HeadOperands,
  teacher: HeadOperands,
  { direction, temperature = 1 }: Omit<DivergenceOptions, 'weights'>,
): Tensor {
  const { N, V, d } = sizes('headDivergence', student.hidden, student.head);
  const other = sizes('headDivergence', teacher.hidden, teacher.head);
  if (other.N !== N || other.V !== V)
    throw new ShapeError(`headDivergence: teacher [${other.N}, ${other.V}] for logits [${N}, ${V}]`);
  const { device } = student.hidden;
  const saved = [0, 1, 2].map(() => Tensor.empty(device, [N]));
  const [loss] = saved as [Tensor];
  const inputs = [student.hidden, student.head, teacher.hidden, teacher.head];
  const types = [typeCode(student.head.dtype), typeCode(teacher.head.dtype)];
  const numbers = [N, V, d, other.d, Number(direction === 'reverse'), temperature, ...types];
  const buffers = (tensors: (Tensor | null)[]) => tensors.map((t) => t?.buffer ?? null);
  device.run('head_divergence', buffers([...saved, ...inputs]), numbers);
  const learned = [student.hidden, student.head];
  if (recording(learned)) {
    record(learned, [loss], ([dLoss]) => {
      const outs = learned.map((t) => (t.requiresGrad ? Tensor.empty(device, t.shape) : null));
      device.run('head_divergence_backward', buffers([...outs, ...inputs, ...saved, dLoss as Tensor]), numbers);
      return outs;
    });
  }
  return loss;
}
