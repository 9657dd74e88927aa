/** @file Every op, one room. */
export { type AttentionOptions, attention } from './attention.ts';
export { cast } from './cast.ts';
export {
  add,
  addBias,
  axpby,
  clamp,
  logSigmoid,
  multiply,
  reshape,
  scale,
  scaleColumns,
  scaleGrad,
  sigmoid,
  sigmoidGate,
  silu,
  softplus,
  swiglu,
  weightedSum,
} from './elementwise.ts';
export { combine, dispatch, expertLinear, type RouteOptions, type Routing, route, routerLoss } from './experts.ts';
export { decayGate, type ExactGateOptions, exactGate, previewGate } from './gates.ts';
export { type HeadLosses, type HeadOperands, headDivergence, headLoss, headTopK } from './head.ts';
export { gatedHeadNorm, type HeadNormOptions, headNorm } from './head-norm.ts';
export { layerNorm } from './layer-norm.ts';
export { concat, repeatHeads, slice, split } from './layout.ts';
export { linear, swigluFeedForward } from './linear.ts';
export { latentMemory, type MemoryState, type MemoryWeights } from './memory.ts';
export { type NgramHash, ngramRows } from './ngrams.ts';
export { gatedNorm, l2Norm, rmsNorm } from './norm.ts';
export { orthogonalize, type SmebuSettings, type SparseAdamSettings, smebu, sparseAdam } from './optim.ts';
export { deltaRule, gla, type Recurrence, type RecurrenceOptions, simpleGla } from './recurrence.ts';
export { withRoom, writeRows } from './room.ts';
export { type Rotation, rope } from './rope.ts';
export { Positions, shortConv } from './sequence.ts';
export { type Slots, slotAttention, slotGates } from './slots.ts';
export {
  crossEntropy,
  type DivergenceOptions,
  divergence,
  embedding,
  gatherRows,
  klTopK,
  type TopK,
  topK,
} from './vocabulary.ts';
