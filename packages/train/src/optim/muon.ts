/**
 * @file Muon (Jordan et al. 2024): matrices move along the orthogonalised momentum of their gradients, everything else by AdamW.
 * Steps are scaled by 0.2·√max(rows, columns), which gives them the RMS of AdamW's (Liu et al. 2025, "Muon is scalable for LLM
 * training"), so learning rate and weight decay are those of AdamW.
 */
import { isTrained, type Parameters, type TensorSpec } from '@quasar/model';
import { cast, concat, orthogonalize, persist, scope, slice, Tensor, typeCode } from '@quasar/tensor';
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
    const directions = group.map(({ matrix: { parameter, momentum }, gradient }) => {
      const { device, shape, size } = parameter;
      const direction = Tensor.empty(device, [size / sizeOfMatrix(parameter), ...shape.slice(-2)]);
      device.run('momentum', [direction.buffer, momentum.buffer, gradient.buffer], [size, MOMENTUM, clip]);
      return direction;
    });
    const all = orthogonalize(concat(directions, 0)); // [matrices of the group, rows, columns]
    let from = 0;
    for (const [i, { matrix }] of group.entries()) {
      const { parameter, master } = matrix;
      const { device, shape, size, dtype } = parameter;
      const to = from + (directions[i] as Tensor).dim(0);
      const direction = slice(all, 0, from, to);
      from = to;
      const rate = lr * 0.2 * Math.sqrt(Math.max(...shape.slice(-2)));
      const weight = (master ?? parameter).buffer;
      device.run('axpby', [weight, weight, direction.buffer], [size, 1 - lr * this.#settings.weightDecay, -rate]);
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

function sizeOfMatrix({ shape }: Tensor): number {
  return (shape.at(-2) as number) * (shape.at(-1) as number);
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
