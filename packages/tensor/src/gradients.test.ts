/** @file The backward pass of every op against central differences of its forward pass, in float64. */
import { expect, it } from 'vitest';
import {
  add,
  addBias,
  attention,
  axpby,
  clamp,
  combine,
  concat,
  crossEntropy,
  decayGate,
  deltaRule,
  dispatch,
  divergence,
  embedding,
  exactGate,
  expertLinear,
  gatedHeadNorm,
  gatedNorm,
  gatherRows,
  gla,
  headDivergence,
  headLoss,
  headNorm,
  klTopK,
  l2Norm,
  latentMemory,
  layerNorm,
  linear,
  logSigmoid,
  multiply,
  Positions,
  previewGate,
  repeatHeads,
  reshape,
  rmsNorm,
  rope,
  route,
  routerLoss,
  scale,
  scaleColumns,
  shortConv,
  sigmoid,
  sigmoidGate,
  silu,
  simpleGla,
  slice,
  slotAttention,
  slotGates,
  softplus,
  split,
  swiglu,
  swigluFeedForward,
  topK,
  weightedSum,
} from './ops/index.ts';
import { Tensor } from './tensor.ts';
import { Draw } from './testing/case.ts';
import { gradientErrors, type Input, oracle } from './testing/gradients.ts';

const draw = new Draw('gradients');
const normal = (...shape: number[]): Input => ({ shape, data: draw.normal(shape.reduce((a, b) => a * b, 1)) });
const ints = (shape: number[], ...values: number[]) => Tensor.from(oracle, shape, values, 'int');

const down = { shape: [5, 7], data: new Draw('down').normal(35) };

const T = 11;
const positions = new Positions(oracle, 2, T, draw.positions(2, T));
const teacher = topK(Tensor.from(oracle, [3, 9], draw.normal(27)), 4);
const fullTeacher = topK(Tensor.from(oracle, [3, 9], draw.normal(27)), 9);
const storedHead = Tensor.from(oracle, [9, 5], draw.normal(45), 'bf16');
const [given, givenHead] = [Tensor.from(oracle, [3, 2], draw.normal(6)), Tensor.from(oracle, [9, 2], draw.normal(18))];
const likely = Tensor.from(oracle, [3, 9], draw.normal(27));
const rowWeights = Tensor.from(oracle, [3], [0.5, 0, 2]);
const weights = Tensor.from(oracle, [6], draw.normal(6));
const bias = Tensor.from(oracle, [4], [0, 0.1, -9, 0.2]); // nobody chooses the third expert

const qkv = () => [normal(2, T, 1, 16), normal(2, T, 1, 16), normal(2, T, 1, 16)];
const state = () => normal(2, 1, 16, 16);
const slots = (B: number) => [normal(B, 2, 16, 16), normal(B, 2, 16, 16)];
const slotBias = Tensor.from(oracle, [2, 8], draw.normal(16));
const vector = (size: number) => Tensor.filled(oracle, [size], 0.7);
const rows16 = Tensor.from(oracle, [1, 90, 16], draw.normal(90 * 16));
const saliency = Tensor.from(oracle, [1, 90], draw.uniform(90, 0, 1));
// One token per segment has the largest saliency, among those that are checked.
const peaks = { shape: [1, 90], data: Float64Array.from({ length: 90 }, (_, t) => (t % 48 === 9 ? 0.9 : 0.3)) };
const smallData = draw.normal(256, 0.05); // beside what is written, so that the differences are not lost in the sum
const small = { data: smallData, initial: Tensor.from(oracle, [16, 16], smallData) };
const openRows = Tensor.from(oracle, [1, 63, 17], draw.uniform(63 * 17, 0, 0.2));
/** Tokens 40 to 129 of a document; and the last 20 of one before the first 70 of the next. */
const oneDocument = new Positions(
  oracle,
  1,
  90,
  Int32Array.from({ length: 90 }, (_, t) => 40 + t),
);
const documents = new Positions(
  oracle,
  1,
  90,
  Int32Array.from({ length: 90 }, (_, t) => (t < 20 ? 44 + t : t - 20)),
);
const unit = (x: Tensor) => l2Norm(x);

const CHECKS: Record<string, { op: (...inputs: Tensor[]) => Tensor[]; inputs: Input[] }> = {
  'axpby, add, scale': {
    op: (x, y) => [axpby(2, x, -3, y), add(x, x), scale(y, 0.5), scale(x, 2, 1)],
    inputs: [normal(2, 3), normal(2, 3)],
  },
  multiply: { op: (x, y) => [multiply(x, y), multiply(x, x)], inputs: [normal(6), normal(6)] },
  'silu, sigmoid, softplus, logSigmoid': {
    op: (x) => [silu(x), sigmoid(x), softplus(x), logSigmoid(x)],
    inputs: [{ shape: [30], data: draw.normal(30, 4) }],
  },
  addBias: { op: (x, b) => [addBias(x, b)], inputs: [normal(3, 4), normal(4)] },
  reshape: { op: (x) => [multiply(reshape(x, [6]), x)], inputs: [normal(2, 3)] },
  'swiglu, joined': { op: (x) => [swiglu(x)], inputs: [normal(3, 8)] },
  'swiglu, apart': { op: (x, y) => [swiglu(x, y)], inputs: [normal(3, 4), normal(3, 4)] },
  weightedSum: { op: (x) => [weightedSum(x, weights, 0.5)], inputs: [normal(2, 3)] },
  linear: { op: (x, w) => [linear(x, w)], inputs: [normal(2, 3, 5), normal(7, 5)] },
  'linear, bias': { op: (x, w, b) => [linear(x, w, b)], inputs: [normal(2, 3, 5), normal(7, 5), normal(7)] },
  swigluFeedForward: {
    op: (x, g, u, d) => [swigluFeedForward(x, g, u, d, x), multiply(x, x), swigluFeedForward(x, u, g, d)],
    inputs: [normal(2, 3, 5), normal(7, 5), normal(7, 5), down],
  },
  layerNorm: { op: (x, w, b) => [layerNorm(x, w, b, 1e-5)], inputs: [normal(3, 8), normal(8), normal(8)] },
  rmsNorm: { op: (x, w) => [rmsNorm(x, w, 1e-6)], inputs: [normal(3, 8), normal(8)] },
  'gatedNorm, sigmoid': {
    op: (x, w, g) => [gatedNorm(x, w, g, 'sigmoid', 1e-6)],
    inputs: [normal(3, 8), normal(8), normal(3, 8)],
  },
  'gatedNorm, silu': {
    op: (x, w, g) => [gatedNorm(x, w, g, 'silu', 1e-6)],
    inputs: [normal(3, 8), normal(4), normal(3, 8)],
  },
  l2Norm: { op: (x) => [l2Norm(x, 0.25)], inputs: [normal(3, 8)] },
  rope: { op: (x) => [rope(x, positions, { theta: 10_000, rotary: 6, cutoff: 5 })], inputs: [normal(2, T, 2, 8)] },
  shortConv: { op: (x, w) => [shortConv(x, w, null, null).y], inputs: [normal(2, 9, 3), normal(3, 1, 4)] },
  'shortConv, segments': {
    op: (x, w) => [shortConv(x, w, null, positions).y],
    inputs: [normal(2, T, 3), normal(3, 1, 4)],
  },
  exactGate: { op: (z, k) => [exactGate(z, k)], inputs: [normal(1, 6, 1), normal(1, 6, 1, 5)] },
  'exactGate, small keys': {
    op: (z, k) => [exactGate(z, k)],
    inputs: [normal(1, 6, 1), { shape: [1, 6, 1, 5], data: draw.normal(30, 0.02) }],
  },
  deltaRule: {
    op: (q, k, v, z, state) => Object.values(deltaRule(q, unit(k), v, sigmoid(z), { state })),
    inputs: [...qkv(), normal(2, T, 1), state()],
  },
  'deltaRule, segments': {
    op: (q, k, v, z, state) => Object.values(deltaRule(q, unit(k), v, sigmoid(z), { state, positions })),
    inputs: [...qkv(), normal(2, T, 1), state()],
  },
  'deltaRule, only the end state used': {
    op: (q, k, v, z) => [deltaRule(q, unit(k), v, sigmoid(z)).state],
    inputs: [normal(2, 5, 1, 16), normal(2, 5, 1, 16), normal(2, 5, 1, 16), normal(2, 5, 1)],
  },
  gla: {
    op: (q, k, v, g, state) => Object.values(gla(q, k, v, logSigmoid(g), { state })),
    inputs: [...qkv(), normal(2, T, 1, 16), state()],
  },
  'gla, segments': {
    op: (q, k, v, g, state) => Object.values(gla(q, k, v, logSigmoid(g), { state, positions })),
    inputs: [...qkv(), normal(2, T, 1, 16), state()],
  },
  'attention, grouped heads': {
    op: (q, k, v) => [attention(q, k, v, null)],
    inputs: [normal(2, T, 4, 16), normal(2, T, 2, 16), normal(2, T, 2, 16)],
  },
  'attention, segments': {
    op: (q, k, v) => [attention(q, k, v, positions, { scale: 0.5 })],
    inputs: [normal(2, T, 2, 16), normal(2, T, 2, 16), normal(2, T, 2, 16)],
  },
  'attention, cache before the block, room after it': {
    op: (q, k, v) => [attention(q, k, v, null, { length: 9 })],
    inputs: [normal(2, 3, 2, 16), normal(2, 12, 1, 16), normal(2, 12, 1, 16)],
  },
  'slotAttention, shared key heads': {
    op: (q, k, v, g, keys, values) => {
      const { out, state } = slotAttention(q, k, v, logSigmoid(g), { keys, values }, null);
      return [out, state.keys, state.values];
    },
    inputs: [normal(1, T, 2, 16), normal(1, T, 1, 16), normal(1, T, 1, 16), normal(1, T, 2, 16), ...slots(1)],
  },
  'slotAttention, segments': {
    op: (q, k, v, g, keys, values) => {
      const { out, state } = slotAttention(q, k, v, logSigmoid(g), { keys, values }, positions);
      return [out, state.keys, state.values];
    },
    inputs: [normal(2, T, 2, 16), normal(2, T, 2, 16), normal(2, T, 2, 16), normal(2, T, 2, 16), ...slots(2)],
  },
  'slotAttention, only the end state used': {
    op: (q, k, v, g) => [slotAttention(q, k, v, logSigmoid(g), null, null).state.values],
    inputs: [normal(1, 5, 1, 16), normal(1, 5, 1, 16), normal(1, 5, 1, 16), normal(1, 5, 1, 16)],
  },
  slotGates: {
    op: (r, z, rate, time) => [slotGates(r, z, rate, time, null, 3)],
    inputs: [normal(2, 3, 2, 8), normal(2, 3, 2), normal(2), normal(2)],
  },
  'slotGates, bias': {
    op: (r, z, rate, time) => [slotGates(r, z, rate, time, slotBias, 3)],
    inputs: [normal(2, 3, 2, 8), normal(2, 3, 2), normal(2), normal(2)],
  },
  'latentMemory, reads': {
    op: (q, initial, memory) => {
      const weights = { query: vector(16), channels: vector(16), temperature: vector(1), initial };
      return [latentMemory(rows16, saliency, q, weights, { memory, open: openRows }, documents).out];
    },
    inputs: [normal(1, 90, 16), normal(16, 16), normal(1, 16, 16)],
  },
  'latentMemory, writes': {
    op: (m, eta, query, channels, temperature, memory) => {
      const weights = { query, channels, temperature, initial: small.initial };
      return [latentMemory(m, eta, rows16, weights, { memory, open: openRows }, oneDocument).state.memory];
    },
    inputs: [normal(1, 90, 16), peaks, normal(16), normal(16), normal(1), { shape: [1, 16, 16], data: small.data }],
  },
  'latentMemory, a document ends within the block': {
    op: (m, query, initial) => {
      const weights = { query, channels: vector(16), temperature: vector(1), initial };
      return [latentMemory(m, saliency, rows16, weights, null, documents).state.memory];
    },
    inputs: [normal(1, 90, 16), normal(16), { shape: [16, 16], data: small.data }],
  },
  'experts of a token, weighted': {
    op: (x, w, router) => {
      const routing = route(linear(x, router), bias, 2);
      return [combine(expertLinear(dispatch(x, routing), w, routing), routing)];
    },
    inputs: [normal(6, 5), normal(4, 5, 5), normal(4, 5)],
  },
  routerLoss: {
    op: (x) => [routerLoss(x, route(x, bias, 2).counts, 2, 0.1, 0.01)],
    inputs: [normal(6, 4)],
  },
  embedding: { op: (table) => [embedding(table, ints([2, 2], 3, 0, 3, 1))], inputs: [normal(5, 3)] },
  gatherRows: { op: (x) => [gatherRows(x, ints([3], 1, 1, 4))], inputs: [normal(5, 3)] },
  'crossEntropy, one target ignored': {
    op: (x) => [crossEntropy(x, ints([3], 2, -1, 8))],
    inputs: [normal(3, 9)],
  },
  klTopK: { op: (x) => [klTopK(x, teacher)], inputs: [normal(3, 9)] },
  'divergence, forward, weighted': {
    op: (x) => [divergence(x, likely, { direction: 'forward', temperature: 2, weights: rowWeights })],
    inputs: [normal(3, 9)],
  },
  'divergence, reverse': {
    op: (x) => [divergence(x, likely, { direction: 'reverse', temperature: 0.7 })],
    inputs: [normal(3, 9)],
  },
  'headLoss, small vocabulary': {
    op: (x, w) => Object.values(headLoss(x, w, ints([3], 2, -1, 8), teacher)) as Tensor[],
    inputs: [normal(3, 5), normal(9, 5)],
  },
  'headLoss, both': {
    op: (x) => Object.values(headLoss(x, storedHead, ints([3], 2, -1, 8), teacher)) as Tensor[],
    inputs: [normal(3, 5)],
  },
  'headLoss, one of two outputs used': {
    op: (x) => [headLoss(x, storedHead, ints([3], 2, 1, 8), teacher).kl],
    inputs: [normal(3, 5)],
  },
  headDivergence: {
    op: (x, w) => [
      headDivergence(
        { hidden: x, head: w },
        { hidden: given, head: givenHead },
        { direction: 'forward', temperature: 2 },
      ),
      headDivergence({ hidden: x, head: w }, { hidden: given, head: givenHead }, { direction: 'reverse' }),
    ],
    inputs: [normal(3, 5), normal(9, 5)],
  },
  'klTopK, no tail': { op: (x) => [klTopK(x, fullTeacher)], inputs: [normal(3, 9)] },
  'deltaRule, decay per head, strengths apart': {
    op: (q, k, v, z, w, g, state) =>
      Object.values(deltaRule(q, unit(k), v, sigmoid(z), { write: w, decay: logSigmoid(g), state, positions })),
    inputs: [...qkv(), normal(2, T, 1), normal(2, T, 1), normal(2, T, 1), state()],
  },
  'deltaRule, decay per channel': {
    op: (q, k, v, z, g, state) =>
      Object.values(deltaRule(q, unit(k), v, sigmoid(z), { decay: logSigmoid(g), state, positions })),
    inputs: [...qkv(), normal(2, T, 1), normal(2, T, 1, 16), state()],
  },
  simpleGla: {
    op: (q, k, v, g, state) => Object.values(simpleGla(q, k, v, logSigmoid(g), { state, positions })),
    inputs: [...qkv(), normal(2, T, 1), state()],
  },
  'simpleGla, constant decay': {
    op: (q, k, v, g) => Object.values(simpleGla(q, k, v, logSigmoid(g))),
    inputs: [...qkv(), normal(1)],
  },
  'decayGate, per head': { op: (z, a, dt) => [decayGate(z, a, dt)], inputs: [normal(2, 5, 3), normal(3), normal(3)] },
  'decayGate, per channel': {
    op: (z, a, dt) => [decayGate(z, a, dt)],
    inputs: [normal(2, 5, 3, 4), normal(3), normal(12)],
  },
  slice: { op: (x) => [slice(x, 1, 1, 3), slice(x, -1, 0, 2)], inputs: [normal(2, 5, 3)] },
  split: { op: (x) => split(x, [1, 4, 2]), inputs: [normal(2, 3, 7)] },
  'split, one part used': { op: (x) => [split(x, [1, 4, 2])[1]], inputs: [normal(2, 3, 7)] },
  concat: {
    op: (x, y) => [concat([x, y], 1), concat([x, x], 0), concat([x, x], -1)],
    inputs: [normal(2, 3, 2), normal(2, 4, 2)],
  },
  repeatHeads: { op: (x) => [repeatHeads(x, 3)], inputs: [normal(2, 3, 2, 4)] },
  'exactGate, sigmoid, rate': {
    op: (z, k, r) => [exactGate(z, k, { beta: 'sigmoid', rate: softplus(r) })],
    inputs: [normal(1, 6, 1), normal(1, 6, 1, 5), normal(1, 6, 1)],
  },
  'exactGate, eps and floor': {
    op: (z, k) => [exactGate(z, k, { eps: 0.1, floor: 1.5 })],
    inputs: [normal(1, 6, 1), { shape: [1, 6, 1, 5], data: draw.normal(30, 0.6) }],
  },
  previewGate: {
    op: (z, k, rate, time) => [previewGate(z, k, rate, time)],
    inputs: [normal(2, 5, 2), normal(2, 5, 2, 6), { shape: [2], data: draw.uniform(2, -2, -1) }, normal(12)],
  },
  clamp: { op: (x) => [clamp(x, -0.5, 0.9)], inputs: [normal(30)] },
  scaleColumns: { op: (x, w) => [scaleColumns(x, w)], inputs: [normal(2, 3, 4), normal(4)] },
  'experts of the best groups, sigmoid gates': {
    op: (x, w, router) => {
      const routing = route(linear(x, router), bias, 2, { gate: 'sigmoid', scale: 2.5, groups: 2, keptGroups: 1 });
      return [combine(expertLinear(dispatch(x, routing), w, routing), routing)];
    },
    inputs: [normal(6, 5), normal(4, 5, 5), normal(4, 5)],
  },
  'linear and swigluFeedForward of one input': {
    op: (x, w, v, u) => {
      const shared = add(x, x); // both its inputs get one gradient tensor, which linear must not add to
      const y = swigluFeedForward(x, w, v, u);
      return [linear(shared, w), y, linear(x, v), linear(shared, v), multiply(x, shared)];
    },
    inputs: [normal(2, 3, 5), normal(7, 5), normal(7, 5), down],
  },
  'linear, bias and more': {
    op: (x, w, b, h) => [linear(x, w, b, h), multiply(h, h)],
    inputs: [normal(2, 3, 5), normal(7, 5), normal(7), normal(2, 3, 7)],
  },
  'rmsNorm, offset': {
    op: (x, w) => [rmsNorm(x, w, 1e-6, 1), multiply(x, x), rmsNorm(x, w, 1e-3)],
    inputs: [normal(3, 8), normal(8)],
  },
  sigmoidGate: { op: (x, g) => [sigmoidGate(x, g)], inputs: [normal(30), normal(30)] },
  headNorm: {
    op: (x, w) => [
      headNorm(x, w, { eps: 1e-6, offset: 1, rotation: { theta: 10_000, rotary: 6, cutoff: 5 }, positions }),
      headNorm(x, w, { eps: 1e-6 }),
    ],
    inputs: [normal(2, T, 2, 8), normal(8)],
  },
  gatedHeadNorm: {
    op: (x, w) => {
      const turned = { eps: 1e-6, offset: 1, rotation: { theta: 10_000, rotary: 8 }, positions };
      const { y, gate } = gatedHeadNorm(x, w, turned);
      return [sigmoidGate(y, gate), gatedHeadNorm(x, w, turned).gate, gatedHeadNorm(x, w, turned).y];
    },
    inputs: [normal(2, T, 2, 16), normal(8)],
  },
};

it.each(Object.entries(CHECKS))('%s', async (_, { op, inputs }) => {
  const errors = await gradientErrors(op, inputs);
  expect(Math.max(...errors), `relative difference per input: ${errors}`).toBeLessThan(1e-7);
});
