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
    this.#matrices.forEach((matrix, i) => {
      const gradient = gradients[i];
      if (gradient && !('ids' in gradient)) scope(() => this.#move(matrix, gradient, lr, clip));
    });
    this.#rest.update(gradients.slice(this.#matrices.length), lr, gradientNorm);
  }

  #move({ parameter, momentum, master }: Matrix, gradient: Tensor, lr: number, clip: number): void {
    const { device, shape, size, dtype } = parameter;
    const direction = Tensor.empty(device, shape);
    device.run('momentum', [direction.buffer, momentum.buffer, gradient.buffer], [size, MOMENTUM, clip]);
    orthogonalize(direction);
    const rate = lr * 0.2 * Math.sqrt(Math.max(...shape.slice(-2)));
    const weight = (master ?? parameter).buffer;
    device.run('axpby', [weight, weight, direction.buffer], [size, 1 - lr * this.#settings.weightDecay, -rate]);
    if (master) device.run('cast', [parameter.buffer, weight], [size, typeCode(dtype), 0]);
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
