/**
 * @file Muon (Jordan et al. 2024): matrices move along the orthogonalised momentum of their gradients, everything else by AdamW.
 * Steps are scaled by 0.2·√max(rows, columns), which gives them the RMS of AdamW's (Liu et al. 2025, "Muon is scalable for LLM
 * training"), so learning rate and weight decay are those of AdamW.
 */
import { isTrained, type Parameters, type TensorSpec } from '@quasar/model';
import { cast, orthogonalize, persist, scope, Tensor, typeCode } from '@quasar/tensor';
import { ADAMW_DEFAULTS, AdamW, type AdamWSettings, clipFactor } from './adamw.ts';
import type { Gradient, Optimizer } from './optimizer.ts';

const MOMENTUM = 0.95;
/** Small matrices of one shape are orthogonalised together: as many as have this many elements in all. */
const TOGETHER = 2 ** 20;

interface Matrix {
  name: string;
  parameter: Tensor;
  momentum: Tensor;
  /** Float weights behind one stored as bf16 or f16. */
  master: Tensor | null;
}

/** Hidden matrices and experts (each a matrix of its own); not embeddings, heads, norms, nor matrices of one row or column. */
function isOrthogonalised({ role, shape }: TensorSpec): boolean {
  const axes = role === 'matrix' ? 2 : role === 'expert' ? 3 : -1;
  return shape.length === axes && shape.slice(-2).every((extent) => extent > 1);
}

export class Muon implements Optimizer {
  readonly names: string[];
  readonly #matrices: Matrix[];
  readonly #rest: AdamW;
  readonly #settings: AdamWSettings;

  constructor(
    parameters: Parameters,
    table: ReadonlyMap<string, TensorSpec>,
    settings: AdamWSettings = ADAMW_DEFAULTS,
  ) {
    const [own, others] = [new Map<string, TensorSpec>(), new Map<string, TensorSpec>()];
    for (const [name, spec] of table) (isTrained(spec) && isOrthogonalised(spec) ? own : others).set(name, spec);
    this.#rest = new AdamW(parameters, others, settings);
    this.#settings = settings;
    this.#matrices = [...own.keys()].map((name) => {
      const parameter = parameters.get(name) as Tensor;
      parameter.requiresGrad = true;
      const master = parameter.dtype === 'float' ? null : persist(cast(parameter, 'float'));
      return { name, parameter, momentum: persist(Tensor.zeros(parameter.device, parameter.shape)), master };
    });
    this.names = [...own.keys(), ...this.#rest.names];
  }

  get parameters(): readonly Tensor[] {
    return [...this.#matrices.map(({ parameter }) => parameter), ...this.#rest.parameters];
  }

  get step(): number {
    return this.#rest.step;
  }

  set step(step: number) {
    this.#rest.step = step;
  }

  update(gradients: readonly Gradient[], lr: number, gradientNorm: number): void {
    const clip = clipFactor(gradientNorm, this.#settings.clipNorm);
    const moved = this.#matrices.flatMap((matrix, i) => {
      const gradient = gradients[i];
      return gradient && !('ids' in gradient) ? [{ matrix, gradient }] : [];
    });
    for (const group of together(moved)) scope(() => this.#move(group, lr, clip));
    this.#rest.update(gradients.slice(this.#matrices.length), lr, gradientNorm);
  }

  #move(group: readonly Moved[], lr: number, clip: number): void {
    const { device, shape } = (group[0] as Moved).matrix.parameter;
    const matrixShape = shape.slice(-2) as [number, number];
    const total = group.reduce((sum, { matrix }) => sum + matrix.parameter.size, 0);
    const directions = Tensor.empty(device, [total / (matrixShape[0] * matrixShape[1]), ...matrixShape]);
    let at = 0;
    for (const { matrix, gradient } of group) {
      const { size } = matrix.parameter;
      const buffers = [directions.buffer, matrix.momentum.buffer, gradient.buffer];
      device.run('momentum', buffers, [size, MOMENTUM, clip, at]);
      at += size;
    }
    orthogonalize(directions);
    const keep = 1 - lr * this.#settings.weightDecay;
    const rate = lr * 0.2 * Math.sqrt(Math.max(...matrixShape));
    at = 0;
    for (const { parameter, master } of group.map(({ matrix }) => matrix)) {
      const { size, dtype } = parameter;
      const weight = (master ?? parameter).buffer;
      device.run('axpby', [weight, weight, directions.buffer], [size, keep, -rate, at]);
      at += size;
      if (master) device.run('cast', [parameter.buffer, weight], [size, typeCode(dtype), 0]);
    }
  }

  /** Momentum of matrices as `m.<name>`, float weights as `w.<name>`; of the rest what AdamW keeps. */
  state(): Map<string, Tensor> {
    const state = this.#rest.state();
    for (const { name, momentum, master } of this.#matrices) {
      state.set(`m.${name}`, momentum);
      if (master) state.set(`w.${name}`, master);
    }
    return state;
  }

  dispose(): void {
    for (const { parameter, momentum, master } of this.#matrices) {
      momentum.dispose();
      master?.dispose();
      parameter.requiresGrad = false;
    }
    this.#rest.dispose();
  }
}

interface Moved {
  matrix: Matrix;
  gradient: Tensor;
}

/** Those of one shape in groups; one that is large alone. */
function together(moved: readonly Moved[]): Moved[][] {
  const groups: Moved[][] = [];
  const open = new Map<string, { group: Moved[]; size: number }>();
  for (const each of moved) {
    const { parameter } = each.matrix;
    const key = parameter.shape.slice(-2).join();
    const known = open.get(key);
    if (known && known.size + parameter.size <= TOGETHER) {
      known.group.push(each);
      known.size += parameter.size;
    } else {
      const group = [each];
      open.set(key, { group, size: parameter.size });
      groups.push(group);
    }
  }
  return groups;
}
