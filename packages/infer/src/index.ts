/** @file Floor 3: generation, scoring of given tokens, teacher traces. Knows no HTTP and no contest. */
export { Decoder } from './decoder.ts';
export { Engine } from './engine.ts';
export type { LogprobsOptions } from './logprobs.ts';
export { type SampleOptions, sampleToken } from './sample.ts';
export { makeTraces, type TraceOptions } from './traces.ts';
export type { Completion, GenerateOptions, StreamedToken, TopK, Trace } from './types.ts';
