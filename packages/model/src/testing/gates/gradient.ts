/** @file Gate: the gradient of the whole model against finite differences in float64, for each kind of parameter. */
import { Rng } from '@quasar/base';
import { add, crossEntropy, gradients, noGrad, referenceDevice, scope, Tensor, weightedSum } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { type ModelConfig, tensorTable } from '../../families/index.ts';
import { forward, vocabularyLogits } from '../../forward.ts';
import type { GateSubject } from '../gates.ts';
import { addedUp, randomTokens } from '../tiny.ts';
import { packedPositions } from './packing.ts';

export interface GradientCase {
  name: string;
  /** Small, with embeddings far larger than a step and router losses large enough to be seen. */
  config: ModelConfig;
  /** Tokens of each segment of the one row. */
  segments: readonly number[];
  /** Names of the parameters to look at. Default: all. */
  only?: RegExp;
  /** Names of parameters that the loss does not depend on: they are in public checkpoints and take no part. */
  unused?: RegExp;
}

const STEP = 1e-6;

export function gradientGates(
  { name, config, segments, only = /./, unused = /$^/ }: GradientCase,
  makeParameters: Required<GateSubject>['makeParameters'],
): void {
  it(`gradients agree with finite differences: ${name}`, { timeout: 60_000 }, async () => {
    const device = referenceDevice({ precision: 'f64' });
    const parameters = await makeParameters(device, config, 'gradient');
    const positions = packedPositions(segments);
    const T = positions.length;
    const tokens = randomTokens(T, config.vocab_size, 'gradient');
    const targets = randomTokens(T, config.vocab_size, 'targets');
    const loss = () => {
      const { hidden, aux } = forward(config, parameters, { tokens, B: 1, T, positions, auxLosses: true });
      const ce = crossEntropy(vocabularyLogits(parameters, hidden), Tensor.from(device, [T], targets, 'int'));
      const mean = weightedSum(ce, Tensor.filled(device, [T], 1), 1 / T);
      const losses = [mean, aux.routerLoss, aux.memoryLoss].filter((loss) => loss != null);
      return { loss: losses.reduce(add) };
    };
    const names = [...tensorTable(config)].flatMap(([name, { role }]) => (role === 'buffer' ? [] : [name]));
    const tensors = names.map((name) => parameters.get(name) as Tensor);
    for (const t of tensors) t.requiresGrad = true;
    const { whole, ofRows } = scope(() => {
      const { gradients: whole, rowGradients: ofRows } = gradients(tensors, loss);
      return { whole, ofRows };
    });
    const found = await Promise.all(
      tensors.map(async (tensor, i) => {
        const rows = ofRows[i];
        return rows ? await addedUp(rows, tensor.size) : ((await whole[i]?.read()) ?? null);
      }),
    );
    const lossAt = async () => {
      const value = scope(() => noGrad(loss).loss);
      const number = await value.item();
      value.dispose();
      return number;
    };

    // One tensor of each kind: the name without the layer. The last layer of a kind stands for it.
    const kinds = new Map(names.map((name) => [name.replace(/layers\.\d+/, 'layers'), name]));
    const rng = new Rng('entries');
    const wrong: string[] = [];
    for (const name of kinds.values()) {
      if (!only.test(name) || unused.test(name)) continue;
      const i = names.indexOf(name);
      const tensor = tensors[i] as Tensor;
      const gradient = Float64Array.from(found[i] ?? new Float64Array(tensor.size));
      const values = (await tensor.read()).slice();
      // Of a gradient with many zeros (rows of the embedding), the largest entry is looked at as well.
      const largest = gradient.reduce(
        (best, g, at) => (Math.abs(g) > Math.abs(gradient[best] as number) ? at : best),
        0,
      );
      if (gradient[largest] === 0) wrong.push(`${name}: no gradient`);
      for (const at of [largest, rng.int(0, tensor.size - 1)]) {
        const original = values[at] as number;
        const moved = async (by: number) => {
          values[at] = original + by;
          tensor.write(values);
          return lossAt();
        };
        const slope = ((await moved(STEP)) - (await moved(-STEP))) / (2 * STEP);
        values[at] = original;
        tensor.write(values);
        const g = gradient[at] as number;
        if (!(Math.abs(slope - g) <= 1e-6 * Math.max(1e-2, Math.abs(g))))
          wrong.push(`${name}[${at}]: ${g}, slope ${slope}`);
      }
    }
    expect(wrong).toEqual([]);
    const withoutGradient = names.filter((_, i) => found[i] === null);
    expect(withoutGradient.filter((name) => only.test(name))).toEqual(
      names.filter((name) => only.test(name) && unused.test(name)),
    );
  });
}
