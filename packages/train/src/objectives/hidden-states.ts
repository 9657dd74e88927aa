/**
 * @file Learning from a teacher's hidden states (architecture §6.1): of each pair of layers, a matrix W turns the student's
 * state into a guess of the teacher's, and is trained beside the model and discarded with the run.
 *   mse      mean over the channels of (W h^S − h^T/rms(h^T))², each position of the same size whatever its norm
 *   cosine   1 − cos(W h^S, h^T)
 */
import { QuasarError, Rng } from '@quasar/base';
import { type ModelConfig, type Parameters, type TensorSpec, tensorTable } from '@quasar/model';
import {
  add,
  axpby,
  type Device,
  gatherRows,
  l2Norm,
  linear,
  multiply,
  noGrad,
  persist,
  reshape,
  rmsNorm,
  scale,
  Tensor,
} from '@quasar/tensor';

export interface HiddenSpec {
  /** Layers of the student and of the teacher that answer each other, counted over all loops from 0. */
  layers: readonly (readonly [student: number, teacher: number])[];
  /** Default `mse`. */
  measure?: 'mse' | 'cosine' | undefined;
  /** Factor on the loss. */
  weight: number;
}

type States = readonly Tensor[] | undefined;

export interface HiddenLoss {
  parameters: { tensors: Parameters; table: ReadonlyMap<string, TensorSpec> };
  /** Per row, [n]: the sum over pairs. @param index rows b·T + t */
  evaluate(student: States, teacher: States, index: Int32Array): Tensor;
}

/** @throws QuasarError train.bad_objective by `evaluate`: there is no such layer */
export function hiddenLoss(
  { layers, measure = 'mse' }: HiddenSpec,
  student: ModelConfig,
  teacher: ModelConfig,
  device: Device,
): HiddenLoss {
  const [from, to] = [widthOf(student), widthOf(teacher)];
  const init = { kind: 'normal', std: 1 / Math.sqrt(from) } as const;
  const nameOf = (pair: number) => `objective.hidden.${pair}.weight`;
  const table = new Map(
    layers.map((_, pair): [string, TensorSpec] => [nameOf(pair), { shape: [to, from], role: 'matrix', init }]),
  );
  const tensors: Parameters = new Map();
  for (const name of table.keys()) {
    const rng = new Rng(`objective/${name}`);
    const values = Float32Array.from({ length: to * from }, () => init.std * rng.normal());
    tensors.set(name, persist(Tensor.from(device, [to, from], values)));
  }
  const ones = (size: number, shape: number[]) => Tensor.filled(device, shape, 1 / size);
  const distance = (guess: Tensor, truth: Tensor): Tensor => {
    if (measure === 'cosine') {
      const products = multiply(l2Norm(guess), l2Norm(truth));
      return scale(linear(products, ones(1, [1, to])), -1, 1); // [n, dT] -> [n, 1]
    }
    const off = axpby(1, guess, -1, rmsNorm(truth, ones(1, [to]), NORM_EPS));
    return linear(multiply(off, off), ones(to, [1, to]));
  };
  return {
    parameters: { tensors, table },
    evaluate(students, teachers, index) {
      const rows = Tensor.from(device, [index.length], index, 'int');
      const stateOf = (states: States, layer: number) => {
        const state = states?.[layer];
        if (!state) throw noLayer(layer, states?.length ?? 0);
        return gatherRows(reshape(state, [state.rows, state.dim(-1)]), rows);
      };
      return layers
        .map(([own, other], pair) => {
          const guess = linear(stateOf(students, own), tensors.get(nameOf(pair)) as Tensor);
          return reshape(
            distance(
              guess,
              noGrad(() => stateOf(teachers, other)),
            ),
            [index.length],
          );
        })
        .reduce(add);
    },
  };
}

const NORM_EPS = 1e-6;

/** Of the residual stream. */
function widthOf(config: ModelConfig): number {
  const embedding = [...tensorTable(config).values()].find(({ role }) => role === 'embedding') as TensorSpec;
  return embedding.shape.at(-1) as number;
}

function noLayer(layer: number, count: number): QuasarError {
  return new QuasarError('train.bad_objective', `hidden states: layer ${layer} of a model with ${count}`, {
    hint: 'name pairs of layers that student and teacher have, counted from 0',
  });
}
