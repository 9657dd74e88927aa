/** @file Ops refuse shapes that do not fit, before any kernel sees them. */
import { expect, it } from 'vitest';
import { referenceDevice } from '../devices/reference/device.ts';
import { ShapeError, Tensor } from '../tensor.ts';
import {
  add,
  addBias,
  attention,
  concat,
  crossEntropy,
  decayGate,
  deltaRule,
  dispatch,
  exactGate,
  expertLinear,
  gatedNorm,
  gla,
  klTopK,
  latentMemory,
  layerNorm,
  linear,
  Positions,
  previewGate,
  reshape,
  rmsNorm,
  rope,
  route,
  scaleColumns,
  shortConv,
  slice,
  slotAttention,
  slotGates,
  split,
  swiglu,
  swigluFeedForward,
  topK,
  weightedSum,
} from './index.ts';

const device = referenceDevice({ precision: 'f64' });
const of = (...shape: number[]) => Tensor.zeros(device, shape);
const ints = (...shape: number[]) =>
  Tensor.from(device, shape, new Int32Array(shape.reduce((a, b) => a * b, 1)), 'int');

const twoTokens = new Positions(device, 1, 2, Int32Array.of(0, 1));

const x16 = of(1, 2, 1, 16);

const u16 = of(1, 2, 16);
const memory = { query: of(16), channels: of(16), temperature: of(1), initial: of(16, 16) };

const REFUSED: Record<string, () => unknown> = {
  add: () => add(of(2), of(3)),
  addBias: () => addBias(of(2, 3), of(2)),
  reshape: () => reshape(of(4), [3]),
  swiglu: () => swiglu(of(2, 3), of(2, 4)),
  weightedSum: () => weightedSum(of(3), of(4)),
  linear: () => linear(of(2, 3), of(4, 5)),
  'linear, bias': () => linear(of(2, 3), of(4, 3), of(5)),
  swigluFeedForward: () => swigluFeedForward(of(2, 3), of(4, 3), of(5, 3), of(3, 4)),
  'swigluFeedForward, down': () => swigluFeedForward(of(2, 3), of(4, 3), of(4, 3), of(3, 5)),
  'swigluFeedForward, plus': () => swigluFeedForward(of(2, 3), of(4, 3), of(4, 3), of(3, 4), of(2, 4)),
  rmsNorm: () => rmsNorm(of(2, 3), of(4), 1e-6),
  layerNorm: () => layerNorm(of(2, 3), of(3), of(4), 1e-6),
  gatedNorm: () => gatedNorm(of(2, 4), of(4), of(2, 3), 'silu', 1e-6),
  rope: () => rope(of(1, 3, 1, 8), twoTokens, { theta: 1e4, rotary: 8 }),
  'rope, width': () => rope(of(1, 2, 1, 8), twoTokens, { theta: 1e4, rotary: 7 }),
  'attention, heads': () => attention(of(1, 2, 3, 16), of(1, 2, 2, 16), of(1, 2, 2, 16), null),
  'attention, width': () => attention(of(1, 2, 1, 8), of(1, 2, 1, 8), of(1, 2, 1, 8), null),
  'attention, fewer keys than queries': () => attention(of(1, 2, 1, 16), of(1, 1, 1, 16), of(1, 1, 1, 16), null),
  'attention, positions': () => attention(of(1, 3, 1, 16), of(1, 3, 1, 16), of(1, 3, 1, 16), twoTokens),
  scaleColumns: () => scaleColumns(of(2, 3), of(2)),
  shortConv: () => shortConv(of(1, 3, 4), of(5, 1, 4), null, null),
  'decayGate, rate': () => decayGate(of(2, 6), of(4), of(6)),
  'decayGate, z': () => decayGate(of(2, 5), of(3), of(6)),
  slice: () => slice(of(2, 5), 1, 3, 6),
  'slice, axis': () => slice(of(2, 5), 2, 0, 1),
  split: () => split(of(2, 5), [2, 4]),
  concat: () => concat([of(2, 5), of(3, 4)], 1),
  'concat of nothing': () => concat([], 0),
  exactGate: () => exactGate(of(1, 3, 2), of(1, 3, 3, 16)),
  'exactGate, rate': () => exactGate(of(1, 3, 2), of(1, 3, 2, 16), { rate: of(3) }),
  'previewGate, z': () => previewGate(of(1, 3, 2), of(1, 3, 3, 16), of(3), of(48)),
  'previewGate, time bias': () => previewGate(of(1, 3, 3), of(1, 3, 3, 16), of(3), of(16)),
  'deltaRule, gate': () => deltaRule(of(1, 2, 1, 16), of(1, 2, 1, 16), of(1, 2, 1, 16), of(1, 2, 2)),
  'deltaRule, width': () => deltaRule(of(1, 2, 1, 8), of(1, 2, 1, 8), of(1, 2, 1, 16), of(1, 2, 1)),
  'gla, state': () => {
    const x = of(1, 2, 1, 16);
    return gla(x, x, x, x, { state: of(1, 1, 16, 15) });
  },
  'slotAttention, decay': () => slotAttention(x16, x16, x16, of(1, 2, 2, 16), null, null),
  'slotAttention, slots': () => slotAttention(x16, x16, x16, of(1, 2, 1, 8), null, null),
  'slotAttention, state': () =>
    slotAttention(x16, x16, x16, x16, { keys: of(1, 1, 16, 16), values: of(1, 1, 16, 8) }, null),
  'slotGates, rate': () => slotGates(of(1, 2, 3, 8), of(1, 2, 3), of(2), of(3), null, 2),
  'slotGates, more slots than there are': () => slotGates(of(1, 2, 3, 8), of(1, 2, 3), of(3), of(3), null, 9),
  'latentMemory, saliency': () => latentMemory(u16, of(1, 3), u16, memory, null, null),
  'latentMemory, rows': () => latentMemory(u16, of(1, 2), u16, { ...memory, initial: of(8, 16) }, null, null),
  'latentMemory, state without positions': () =>
    latentMemory(u16, of(1, 2), u16, memory, { memory: of(1, 16, 16), open: of(1, 63, 17) }, null),
  'route, bias': () => route(of(3, 4), of(3), 2),
  'route, groups of different sizes': () => route(of(3, 4), of(4), 2, { groups: 3 }),
  'route, more experts than the groups hold': () => route(of(3, 4), of(4), 3, { groups: 2, keptGroups: 1 }),
  'route, more experts than there are': () => route(of(3, 4), of(4), 5),
  dispatch: () => dispatch(of(2, 5), route(of(3, 4), of(4), 2)),
  expertLinear: () => expertLinear(of(6, 5), of(4, 6, 7), route(of(3, 4), of(4), 2)),
  crossEntropy: () => crossEntropy(of(3, 5), ints(2)),
  klTopK: () => klTopK(of(3, 5), { ids: ints(2, 2), logprobs: of(2, 2), tail: of(2) }),
  topK: () => topK(of(3, 5), 6),
};

it.each(Object.entries(REFUSED))('%s', (_, call) => {
  expect(call).toThrow(ShapeError);
});
