/** @file For tests: one layer by itself, on any device: drawn weights, blocks with a state, packed documents, gradients. */
import { Rng } from '@quasar/base';
import { type Device, gradients, Positions, type Rotation, scope, sizeOf, Tensor, weightedSum } from '@quasar/tensor';
import type { LayerContext } from '../layers/context.ts';
import type { Entries } from '../tensor-table.ts';
import { addedUp } from './tiny.ts';

/** Tokens of one row in order: what the layer reads of each. */
export type Layer = (block: LayerBlock, c: LayerContext<unknown>) => Tensor;

/** A block of rows: hidden vectors [B, T, D] and ids [B, T]. */
export interface LayerBlock {
  hidden: Tensor;
  ids: Tensor;
}

export interface Inputs {
  B: number;
  T: number;
  D: number;
  hidden: Float64Array;
  ids: Int32Array;
  /** Position of each token in its document, [B · T]. */
  positions: Int32Array;
}

export function drawInputs(B: number, T: number, D: number, seed: string, vocabulary = 50): Inputs {
  const rng = new Rng(seed);
  return {
    B,
    T,
    D,
    hidden: Float64Array.from({ length: B * T * D }, () => Math.fround(rng.normal())),
    ids: Int32Array.from({ length: B * T }, () => rng.int(0, vocabulary - 1)),
    positions: Int32Array.from({ length: B * T }, (_, i) => i % T),
  };
}

/** Tokens [from, to) of every row. */
export function sliceInputs({ B, T, D, hidden, ids, positions }: Inputs, from: number, to: number): Inputs {
  const rows = <A extends Float64Array | Int32Array>(data: A, width: number): A => {
    const parts = Array.from({ length: B }, (_, b) => [...data.subarray((b * T + from) * width, (b * T + to) * width)]);
    return (data.constructor as unknown as { from(x: number[]): A }).from(parts.flat());
  };
  return { B, T: to - from, D, hidden: rows(hidden, D), ids: rows(ids, 1), positions: rows(positions, 1) };
}

/** Values of each weight, exact in float32. Round initial values get noise. `override` replaces by name. */
export function drawWeights(
  entries: Entries,
  seed: string,
  override: Record<string, (rng: Rng, i: number) => number> = {},
): Map<string, Float64Array> {
  const weights = new Map<string, Float64Array>();
  for (const [name, { shape, role, init, dtype }] of entries) {
    const rng = new Rng(`${seed}/${name}`);
    const scale = role === 'matrix' ? 1 / Math.sqrt(shape.at(-1) as number) : 0.3;
    const noisy = () => (role === 'norm' ? 1 : 0) + scale * rng.normal();
    const draw = override[name] ?? (init.kind === 'integers' ? (_: Rng, i: number) => init.value(i) : noisy);
    weights.set(
      name,
      Float64Array.from({ length: sizeOf(shape) }, (_, i) => (dtype ? draw(rng, i) : Math.fround(draw(rng, i)))),
    );
  }
  return weights;
}

export function toDevice(
  device: Device,
  entries: Entries,
  weights: ReadonlyMap<string, Float64Array>,
): Map<string, Tensor> {
  return new Map(
    entries.map(([name, { shape, dtype }]) => [
      name,
      Tensor.from(device, shape, weights.get(name) as Float64Array, dtype),
    ]),
  );
}

export interface LayerRun {
  y: Tensor;
  state: Map<string, Tensor>;
}

/** @param packed tell the layer where documents start; otherwise it sees one document */
export function runLayer(
  layer: Layer,
  weights: ReadonlyMap<string, Tensor>,
  inputs: Inputs,
  {
    state,
    rotation = null,
    hidden,
  }: { state?: ReadonlyMap<string, Tensor>; rotation?: Rotation | null; hidden?: Tensor } = {},
): LayerRun {
  const { device } = weights.values().next().value as Tensor;
  const { B, T, D } = inputs;
  const next = new Map<string, Tensor>();
  const block = {
    hidden: hidden ?? Tensor.from(device, [B, T, D], inputs.hidden),
    ids: Tensor.from(device, [B, T], inputs.ids, 'int'),
  };
  const y = layer(block, {
    config: null,
    positions: new Positions(device, B, T, inputs.positions),
    rotation,
    weight: (name) => weights.get(name) as Tensor,
    load: (name) => state?.get(name) ?? null,
    save: (name, tensor) => next.set(name, tensor),
  });
  return { y, state: next };
}

/** Outputs of all rows, block after block with the state between. */
export async function runBlocks(
  layer: Layer,
  weights: ReadonlyMap<string, Tensor>,
  inputs: Inputs,
  block: number,
  rotation: Rotation | null = null,
): Promise<Float64Array> {
  const { B, T } = inputs;
  let state = new Map<string, Tensor>();
  const rows = Array.from({ length: B }, (): number[] => []);
  for (let from = 0; from < T; from += block) {
    const part = sliceInputs(inputs, from, Math.min(T, from + block));
    const run = runLayer(layer, weights, part, { state, rotation });
    const values = await run.y.read();
    rows.forEach((row, b) => {
      row.push(...values.subarray((b * values.length) / B, ((b + 1) * values.length) / B));
    });
    state = run.state;
  }
  return Float64Array.from(rows.flat());
}

const STEP = 1e-6;

/**
 * Relative difference, per weight and for the hidden input, between gradients of a random sum of the outputs and its central
 * differences at some elements.
 */
export async function layerGradientErrors(
  layer: Layer,
  weights: ReadonlyMap<string, Tensor>,
  inputs: Inputs,
  rotation: Rotation | null = null,
): Promise<Record<string, number>> {
  const { device } = weights.values().next().value as Tensor;
  const hidden = Tensor.from(device, [inputs.B, inputs.T, inputs.D], inputs.hidden);
  const floats = [...weights].filter(([, tensor]) => tensor.dtype === 'float');
  const checked = new Map([...floats, ['hidden', hidden]] as [string, Tensor][]);
  const weightsOfOutputs = new Rng('output weights');
  const r = Float64Array.from({ length: inputs.B * inputs.T * inputs.D }, () => weightsOfOutputs.normal());
  const loss = () => {
    const { y } = runLayer(layer, weights, inputs, { rotation, hidden });
    return weightedSum(y, Tensor.from(device, y.shape, r));
  };
  for (const tensor of checked.values()) tensor.requiresGrad = true;
  const { gradients: found, rowGradients } = gradients([...checked.values()], () => ({ loss: loss() }));
  const errors: Record<string, number> = {};
  for (const [i, [name, tensor]] of [...checked].entries()) {
    const values = Float64Array.from(await tensor.read());
    const ofRows = rowGradients[i];
    const analytic = ofRows ? await addedUp(ofRows, tensor.size) : await found[i]?.read();
    const lossAt = async (at: number, x: number) => {
      tensor.write(values.map((value, j) => (j === at ? x : value)));
      return scope(loss).item();
    };
    let [difference, size] = [0, 0];
    for (let at = 0; at < values.length; at += Math.max(1, Math.floor(values.length / 8))) {
      const x = values[at] as number;
      const numeric = ((await lossAt(at, x + STEP)) - (await lossAt(at, x - STEP))) / (2 * STEP);
      difference += ((analytic?.[at] ?? 0) - numeric) ** 2;
      size += numeric ** 2;
    }
    tensor.write(values);
    errors[name] = difference === 0 ? 0 : Math.sqrt(difference / size);
  }
  return errors;
}
