/** @file Engram: against plain loops, its gradients, blocks with a state, packed documents, its tensors and token maps. */
import { Rng } from '@quasar/base';
import {
  type Device,
  gradients,
  nativeAvailable,
  nativeDevice,
  referenceDevice,
  sizeOf,
  Tensor,
  weightedSum,
} from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { initialValues } from '../draw.ts';
import {
  drawInputs,
  drawWeights,
  type Layer,
  layerGradientErrors,
  runBlocks,
  runLayer,
  sliceInputs,
  toDevice,
} from '../testing/layer.ts';
import { plainEngram } from '../testing/plain-engram.ts';
import { maxDifference, relativeError } from '../testing/tiny.ts';
import { trainBpe } from '../tokenizer/index.ts';
import { type EngramOptions, engram, engramSizes } from './engram.ts';
import { canonicalTokenMap, engramTensors } from './engram-tensors.ts';

const [D, V, T] = [12, 40, 70];
const OPTIONS: EngramOptions = {
  at: 'engram',
  dim: 24,
  slots: 60,
  heads: 2,
  orders: [2, 3],
  gate: 'rmsnorm',
  tokenMap: 'hash',
  lrScale: 5,
};
const reference = referenceDevice({ precision: 'f64' });
const inputs = drawInputs(2, T, D, 'engram', V);

describe.each(['rmsnorm', 'public'] as const)('gate %s', (gate) => {
  const options = { ...OPTIONS, gate };
  const layer: Layer = ({ hidden, ids }, c) => engram(hidden, ids, c, options);
  const entries = engramTensors(D, V, options);
  const weights = drawWeights(entries, gate);
  const on = (device: Device) => toDevice(device, entries, weights);
  const whole = (device: Device) => runLayer(layer, on(device), inputs).y.read();

  it('computes the equations', async () => {
    const plain = [0, 1].flatMap((b) => {
      const own = sliceInputs(inputs, 0, T);
      const rows = Array.from({ length: T }, (_, t) => [...own.hidden.slice((b * T + t) * D, (b * T + t + 1) * D)]);
      const get = (name: string) => weights.get(`engram.${name}`) as Float64Array;
      return plainEngram(rows, own.ids.slice(b * T, (b + 1) * T), options, get).flat();
    });
    expect(relativeError(await whole(reference), plain)).toBeLessThan(1e-10);
  });

  it('gradients agree with finite differences, those of the tables by rows', async () => {
    const errors = await layerGradientErrors(layer, on(reference), drawInputs(1, 14, D, gate, V));
    for (const [weight, error] of Object.entries(errors)) expect(error, weight).toBeLessThan(1e-6);
    expect(Object.keys(errors)).toContain('engram.embed_tables');
  });

  it.each([1, 2, 7, 64])('blocks of %i give the whole', async (block) => {
    const blocks = await runBlocks(layer, on(reference), inputs, block);
    expect(relativeError(blocks, await whole(reference))).toBeLessThan(1e-12);
  });

  it('a packed document gives what it gives alone', async () => {
    const cut = 41;
    const positions = inputs.positions.map((t) => (t < cut ? t : t - cut));
    const packed = await runLayer(layer, on(reference), { ...inputs, positions }).y.read();
    const alone = await runLayer(layer, on(reference), sliceInputs({ ...inputs, positions }, cut, T)).y.read();
    for (const b of [0, 1]) {
      const own = alone.slice(b * (T - cut) * D, (b + 1) * (T - cut) * D);
      expect(maxDifference(packed.slice((b * T + cut) * D, (b + 1) * T * D), own)).toBe(0);
    }
  });

  it('a token changes nothing before it, and more than its own row after it', async () => {
    const at = 30;
    const ids = inputs.ids.map((id, i) => (i % T === at ? (id + 1) % V : id));
    const [before, after] = [await whole(reference), await runLayer(layer, on(reference), { ...inputs, ids }).y.read()];
    for (const b of [0, 1]) {
      const rows = (x: ArrayLike<number>, from: number, to: number) =>
        Array.prototype.slice.call(x, (b * T + from) * D, (b * T + to) * D);
      expect(rows(after, 0, at)).toEqual(rows(before, 0, at));
      expect(rows(after, at, at + 1)).not.toEqual(rows(before, at, at + 1));
      // Two more 3-grams hold the token, and the convolution reaches nine tokens back.
      expect(rows(after, at + 11, at + 12)).not.toEqual(rows(before, at + 11, at + 12));
      expect(rows(after, at + 12, T)).toEqual(rows(before, at + 12, T));
    }
  });

  it.skipIf(!nativeAvailable())('native agrees', async () => {
    expect(relativeError(await whole(nativeDevice()), await whole(reference))).toBeLessThan(2e-6);
  });
});

it('rows and outputs that are not numbers or too large are bounded', async () => {
  const entries = engramTensors(D, V, OPTIONS);
  const layer: Layer = ({ hidden, ids }, c) => engram(hidden, ids, c, OPTIONS);
  const run = (row: number, out: number) => {
    const weights = drawWeights(entries, 'bounds', {
      'engram.embed_tables': () => row,
      'engram.out_proj.weight': (rng) => out * rng.normal(),
    });
    return runLayer(layer, toDevice(reference, entries, weights), inputs).y.read();
  };
  expect(await run(Number.NaN, 1)).toEqual(await run(0, 1));
  expect(await run(1e30, 1)).toEqual(await run(10, 1));
  expect(await run(10, 1)).not.toEqual(await run(9, 1));
  expect(Math.max(...(await run(10, 1e6)).map(Math.abs))).toBe(100);
});

it('a fresh layer adds nothing, and only its output projection learns in the first step', async () => {
  const entries = engramTensors(D, V, OPTIONS);
  const fresh = new Map<string, Float64Array>();
  for (const [name, { shape, init }] of entries) {
    fresh.set(name, Float64Array.from(initialValues(shape, init, new Rng(name))));
  }
  const layer: Layer = ({ hidden, ids }, c) => engram(hidden, ids, c, OPTIONS);
  const weights = toDevice(reference, entries, fresh);
  const trained = [...weights].filter(([, { dtype }]) => dtype === 'float');
  for (const [, tensor] of trained) tensor.requiresGrad = true;
  const { value, ...found } = gradients(
    trained.map(([, tensor]) => tensor),
    () => {
      const { y } = runLayer(layer, weights, inputs);
      return { loss: weightedSum(y, Tensor.filled(reference, y.shape, 1)), y };
    },
  );
  expect((await value.y.read()).every((x) => x === 0)).toBe(true);
  for (const [i, [name]] of trained.entries()) {
    const gradient = found.gradients[i] ?? found.rowGradients[i]?.rows;
    const moves = (await gradient?.read())?.some((x) => x !== 0) ?? false;
    expect(moves, name).toBe(name === 'engram.out_proj.weight');
  }
});

describe('tensors', () => {
  const published: EngramOptions = { ...OPTIONS, dim: 512, slots: 2_000_000, heads: 8 };

  it('published sizes: 16 tables of 125,003 rows of 32, 66,887,680 parameters', () => {
    expect(engramSizes(published)).toEqual({ tables: 16, rows: 125_003, width: 32 });
    const table = new Map(engramTensors(2048, 157_184, published));
    const count = [...table.values()].reduce(
      (sum, { role, shape }) => sum + (role === 'buffer' ? 0 : sizeOf(shape)),
      0,
    );
    expect(count).toBe(66_887_680);
    expect(table.get('engram.embed_tables')?.shape).toEqual([16, 125_003, 32]);
  });

  it('buffers of integers are what the public layer has', () => {
    const table = new Map(engramTensors(2048, 157_184, published));
    const values = (name: string) => {
      const { shape, init, dtype } = table.get(`engram.${name}`) as NonNullable<ReturnType<typeof table.get>>;
      expect(dtype).toBe('int');
      return [...initialValues(shape, init, new Rng('unused'))];
    };
    // (i · 2654435761) mod 121031
    expect(values('token_map').slice(0, 4)).toEqual([0, 104_900, 88_769, 72_638]);
    expect(Math.max(...values('token_map'))).toBeLessThan(121_031);
    expect(values('ngram_orders_buf')).toEqual([2, 3]);
    const seeds = values('seeds');
    expect(new Set(seeds).size).toBe(16);
    expect(seeds.every((seed) => Number.isInteger(seed) && seed >= 1 && seed < 2 ** 31 - 1)).toBe(true);
    expect(values('seeds')).toEqual(seeds);
  });
});

it('a canonical map merges tokens by their text, and nothing else', () => {
  const tokenizer = trainBpe(['The THE the tHe ａｂ ab AB'], { vocabSize: 300 });
  const size = tokenizer.vocabSize + 5;
  const map = canonicalTokenMap(tokenizer, size);
  const id = (text: string) => tokenizer.encode(text)[0] as number;
  expect(map[id('A')]).toBe(map[id('a')]);
  expect(map[id('T')]).toBe(map[id('t')]);
  expect(map[id('a')]).not.toBe(map[id('b')]);
  const isOwn = (of: number) => map[of] === of;
  for (const special of Object.values(tokenizer.specials)) expect(isOwn(special)).toBe(true);
  expect(isOwn(size - 1)).toBe(true);
  // A byte that is no text by itself.
  expect(isOwn(tokenizer.encode('é')[0] as number)).toBe(true);
  map.forEach((canonical) => {
    expect(isOwn(canonical)).toBe(true);
  });
});
