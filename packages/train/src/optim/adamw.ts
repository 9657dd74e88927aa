/** @file AdamW over a model's parameters (Loshchilov and Hutter 2019), with global-norm clipping. */
import type { Parameters, TensorSpec } from '@quasar/model';
import { cast, persist, Tensor, typeCode } from '@quasar/tensor';
import type { Optimizer } from './optimizer.ts';

export interface AdamWSettings {
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** Gradients are scaled down to this global norm. */
  clipNorm: number;
}

export const ADAMW_DEFAULTS: AdamWSettings = { beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, clipNorm: 1 };

export class AdamW implements Optimizer {
  readonly names: string[];
  readonly #parameters: Tensor[];
  readonly #decays: boolean[];
  readonly #m: Tensor[];
  readonly #v: Tensor[];
  /** Float weights behind those stored as bf16 or f16; null where the parameter itself is float. */
  readonly #masters: (Tensor | null)[];
  readonly #settings: AdamWSettings;
  /** Updates done. */
  step = 0;

  /** Trains every tensor of the table that is not a buffer; norms, biases and gates do not decay. */
  constructor(
    parameters: Parameters,
    table: ReadonlyMap<string, TensorSpec>,
    settings: AdamWSettings = ADAMW_DEFAULTS,
  ) {
    this.names = [...table].filter(([, spec]) => spec.role !== 'buffer').map(([name]) => name);
    this.#parameters = this.names.map((name) => parameters.get(name) as Tensor);
    this.#decays = this.names.map((name) => !['norm', 'scalar'].includes((table.get(name) as TensorSpec).role));
    this.#m = this.#parameters.map((p) => persist(Tensor.zeros(p.device, p.shape)));
    this.#v = this.#parameters.map((p) => persist(Tensor.zeros(p.device, p.shape)));
    this.#masters = this.#parameters.map((p) => (p.dtype === 'float' ? null : persist(cast(p, 'float'))));
    this.#settings = settings;
    for (const p of this.#parameters) p.requiresGrad = true;
  }

  get parameters(): readonly Tensor[] {
    return this.#parameters;
  }

  /** One update with gradients in the order of `parameters` (null: no gradient, no change). */
  update(gradients: readonly (Tensor | null)[], lr: number, gradientNorm: number): void {
    const { beta1, beta2, eps, weightDecay, clipNorm } = this.#settings;
    this.step++;
    const [c1, c2] = [1 / (1 - beta1 ** this.step), 1 / (1 - beta2 ** this.step)];
    const clip = clipFactor(gradientNorm, clipNorm);
    this.#parameters.forEach((p, i) => {
      const gradient = gradients[i];
      if (!gradient) return;
      const tensors = [p, this.#m[i], this.#v[i], gradient, this.#masters[i]];
      p.device.run(
        'adamw',
        tensors.map((t) => t?.buffer ?? null),
        [p.size, lr, beta1, beta2, eps, this.#decays[i] ? weightDecay : 0, c1, c2, clip, typeCode(p.dtype)],
      );
    });
  }

  /** Moments as `m.<name>` and `v.<name>`, float weights as `w.<name>`. */
  state(): Map<string, Tensor> {
    const state = new Map<string, Tensor>();
    this.names.forEach((name, i) => {
      state.set(`m.${name}`, this.#m[i] as Tensor).set(`v.${name}`, this.#v[i] as Tensor);
      const master = this.#masters[i];
      if (master) state.set(`w.${name}`, master);
    });
    return state;
  }

  dispose(): void {
    for (const t of [...this.#m, ...this.#v, ...this.#masters]) t?.dispose();
    for (const p of this.#parameters) p.requiresGrad = false;
  }
}

/** What gradients are multiplied by, so that their global norm is at most `clipNorm`. */
export function clipFactor(gradientNorm: number, clipNorm: number): number {
  return gradientNorm > clipNorm ? clipNorm / gradientNorm : 1;
}

/** Σ g² over all gradients, one element on the device. */
export function squaredNorm(gradients: readonly (Tensor | null)[]): Tensor | null {
  const first = gradients.find((g) => g !== null);
  if (!first) return null;
  const out = Tensor.zeros(first.device, [1]);
  for (const g of gradients) if (g) g.device.run('sum_squares', [out.buffer, g.buffer], [g.size]);
  return out;
}
