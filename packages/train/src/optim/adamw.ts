/**
 * @file AdamW over a model's parameters (Loshchilov and Hutter 2019), with global-norm clipping. Tables of rows have Adam on
 * the rows that a batch read.
 */
import { isTrained, type Parameters, type TensorSpec } from '@quasar/model';
import { cast, inBursts, persist, sparseAdam, Tensor, typeCode } from '@quasar/tensor';
import type { Gradient, Optimizer } from './optimizer.ts';

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
  /** Factors on the learning rate. */
  readonly #rates: number[];
  readonly #m: Tensor[];
  readonly #v: Tensor[];
  /** Float weights behind those stored as bf16 or f16; null where the parameter itself is float. */
  readonly #masters: (Tensor | null)[];
  readonly #settings: AdamWSettings;
  /** Updates done. */
  step = 0;

  /** Trains every tensor of the table that is not a buffer; norms, biases, gates and tables of rows do not decay. */
  constructor(
    parameters: Parameters,
    table: ReadonlyMap<string, TensorSpec>,
    settings: AdamWSettings = ADAMW_DEFAULTS,
  ) {
    this.names = [...table].filter(([, spec]) => isTrained(spec)).map(([name]) => name);
    this.#parameters = this.names.map((name) => parameters.get(name) as Tensor);
    const specs = this.names.map((name) => table.get(name) as TensorSpec);
    this.#decays = specs.map(({ role }) => !['norm', 'scalar', 'table'].includes(role));
    this.#rates = specs.map(({ lrScale = 1 }) => lrScale);
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
  update(gradients: readonly Gradient[], lr: number, gradientNorm: number): void {
    const { beta1, beta2, eps, weightDecay, clipNorm } = this.#settings;
    this.step++;
    const [c1, c2] = [1 / (1 - beta1 ** this.step), 1 / (1 - beta2 ** this.step)];
    const clip = clipFactor(gradientNorm, clipNorm);
    this.#parameters.forEach((p, i) => {
      const gradient = gradients[i];
      if (!gradient) return;
      const rate = lr * (this.#rates[i] as number);
      if ('ids' in gradient) {
        const [m, v, master] = [this.#m[i] as Tensor, this.#v[i] as Tensor, this.#masters[i] ?? p];
        sparseAdam(master, m, v, gradient.rows, gradient.ids, {
          lr: rate,
          beta1,
          beta2,
          eps,
          step: this.step,
          scale: clip,
        });
        if (master !== p) p.device.run('cast', [p.buffer, master.buffer], [p.size, typeCode(p.dtype), 0]);
        return;
      }
      const tensors = [p, this.#m[i], this.#v[i], gradient, this.#masters[i]];
      p.device.run(
        'adamw',
        tensors.map((t) => t?.buffer ?? null),
        [p.size, rate, beta1, beta2, eps, this.#decays[i] ? weightDecay : 0, c1, c2, clip, typeCode(p.dtype)],
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

/** Σ g² over all gradients but those of rows, whose steps do not depend on their scale; one element on the device. */
export function squaredNorm(gradients: readonly Gradient[]): Tensor | null {
  const whole = gradients.flatMap((g) => (g && !('ids' in g) ? [g] : []));
  const [first] = whole;
  if (!first) return null;
  const out = Tensor.zeros(first.device, [1]);
  inBursts(first.device, () => {
    for (const g of whole) g.device.run('sum_squares', [out.buffer, g.buffer], [g.size]);
  });
  return out;
}
