/** @file The moving average of the weights of a run: what is evaluated and kept when a run asks for it. */
import { isTrained, type Parameters, type TensorSpec } from '@quasar/model';
import { cast, persist, scope, Tensor, typeCode } from '@quasar/tensor';

export class WeightAverage {
  readonly #pairs: { name: string; weight: Tensor; average: Tensor }[];
  readonly #decay: number;

  /** Begins with the weights as they are. @param decay share of the average that stays, per step */
  constructor(parameters: Parameters, table: ReadonlyMap<string, TensorSpec>, decay: number) {
    this.#decay = decay;
    this.#pairs = [...table].flatMap(([name, spec]) => {
      const weight = parameters.get(name) as Tensor;
      return isTrained(spec) ? [{ name, weight, average: persist(cast(weight, 'float')) }] : [];
    });
  }

  /** After a step. */
  update(): void {
    for (const { weight, average } of this.#pairs) {
      scope(() => {
        const now = weight.dtype === 'float' ? weight : cast(weight, 'float');
        const buffers = [average.buffer, average.buffer, now.buffer];
        average.device.run('axpby', buffers, [average.size, this.#decay, 1 - this.#decay]);
      });
    }
  }

  /** Exchanges weights and averages: before an evaluation, after it, and at the end of a run. */
  swap(): void {
    for (const { weight, average } of this.#pairs) {
      const { device, size } = average;
      scope(() => {
        const now = Tensor.empty(device, weight.shape);
        device.run('cast', [now.buffer, weight.buffer], [size, 0, typeCode(weight.dtype)]);
        device.run('cast', [weight.buffer, average.buffer], [size, typeCode(weight.dtype), 0]);
        device.run('cast', [average.buffer, now.buffer], [size, 0, 0]);
      });
    }
  }

  /** As `a.<name>`. */
  state(): Map<string, Tensor> {
    return new Map(this.#pairs.map(({ name, average }) => [`a.${name}`, average]));
  }

  dispose(): void {
    for (const { average } of this.#pairs) average.dispose();
  }
}
