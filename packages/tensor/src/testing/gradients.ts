/** @file Finite-difference check of an op's backward pass, in float64. */
import { gradients } from '../autograd.ts';
import { referenceDevice } from '../devices/reference/device.ts';
import { add, weightedSum } from '../ops/index.ts';
import { scope } from '../scope.ts';
import { Tensor } from '../tensor.ts';
import { Draw } from './case.ts';

export interface Input {
  shape: readonly number[];
  data: Float64Array;
}

/** The device the checked op runs on; constants that the op needs (ids, positions) must live there. */
export const oracle = referenceDevice({ precision: 'f64' });

const STEP = 1e-6;
const CHECKED_PER_INPUT = 24;

/**
 * Relative RMS difference, per input, between the gradients of sum(r_i · output_i) for random r and its central
 * differences with step 1e-6. Large inputs are checked at some 24 elements spread over them.
 */
export async function gradientErrors(op: (...inputs: Tensor[]) => Tensor[], inputs: Input[]): Promise<number[]> {
  const tensors = inputs.map(({ shape, data }) => {
    const tensor = Tensor.from(oracle, shape, data);
    tensor.requiresGrad = true;
    return tensor;
  });
  // The same weights in every evaluation.
  const loss = () => {
    const draw = new Draw('output weights');
    const terms = op(...tensors).map((out) => weightedSum(out, Tensor.from(oracle, out.shape, draw.normal(out.size))));
    return terms.reduce((sum, term) => add(sum, term));
  };
  const { gradients: found } = gradients(tensors, () => ({ loss: loss() }));
  const lossAt = (tensor: Tensor, data: Float64Array) => {
    tensor.write(data);
    return scope(loss).item();
  };
  const errors: number[] = [];
  for (const [i, tensor] of tensors.entries()) {
    const analytic = await found[i]?.read();
    const { data } = inputs[i] as Input;
    const stride = Math.max(1, Math.floor(data.length / CHECKED_PER_INPUT));
    let [difference, size] = [0, 0];
    for (let at = 0; at < data.length; at += stride) {
      const moved = Float64Array.from(data);
      moved[at] = data[at] + STEP;
      const above = await lossAt(tensor, moved);
      moved[at] = data[at] - STEP;
      const below = await lossAt(tensor, moved);
      const numeric = (above - below) / (2 * STEP);
      difference += ((analytic?.[at] ?? 0) - numeric) ** 2;
      size += numeric ** 2;
    }
    tensor.write(data);
    errors.push(difference === 0 ? 0 : Math.sqrt(difference / size));
  }
  return errors;
}
