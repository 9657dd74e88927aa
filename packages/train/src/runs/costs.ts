/** @file Operations of training and the time they take: what a run foresees before its first step. */
import { type ModelConfig, modelInfo } from '@quasar/model';
import { type Device, linear, measureGflops, scope, Tensor } from '@quasar/tensor';

/** A backward pass costs two forward passes. */
const PASSES = 3;
/** Side of the square product that stands for the peak of a device that cannot say it. */
const PRODUCT = 384;

/**
 * Operations per trained token, from the tensor table: products count 2 per multiply-add.
 * @param T tokens of a row: what softmax attention looks back on. @param recompute layers are computed again
 */
export function trainingFlopsPerToken(config: ModelConfig, T: number, recompute = false): number {
  return forwardFlopsPerToken(config, T) * (PASSES + (recompute ? 1 : 0));
}

export function forwardFlopsPerToken(config: ModelConfig, T: number): number {
  const { flopsPerToken, sequence } = modelInfo(config);
  return flopsPerToken.products + flopsPerToken.recurrences + (sequence.contextFlops * (T - 1)) / 2;
}

/**
 * 10⁹ operations per second that the device reaches at best: multiply-adds in registers on the native device, elsewhere a large
 * product of matrices. Takes some hundredths of a second.
 */
export async function peakGflops(device: Device): Promise<number> {
  if (device.name === 'native') return measureGflops({ threads: device.threads });
  const side = device.name === 'reference' ? PRODUCT / 4 : PRODUCT;
  const ones = () => Tensor.from(device, [side, side], new Float32Array(side * side).fill(1));
  const [a, b] = [ones(), ones()];
  let bestMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round++) {
    const startedAtMs = performance.now();
    const product = scope(() => linear(a, b));
    await product.read();
    bestMs = Math.min(bestMs, performance.now() - startedAtMs);
    product.dispose();
  }
  a.dispose();
  b.dispose();
  return (2 * side ** 3) / bestMs / 1e6;
}

/** Share of the peak that training steps of some thousand tokens reach as a rule: the middle of our own sizes. */
const TYPICAL_SHARE = 0.4;

/** Milliseconds that `tokens` take to train on, as foreseen before the first step. */
export function predictMs(flopsPerToken: number, tokens: number, peak: number): number {
  return (flopsPerToken * tokens) / (peak * TYPICAL_SHARE * 1e6);
}

/** Operations per second that a speed amounts to, as a share of the peak. */
export function shareOfPeak(flopsPerToken: number, tokensPerSecond: number, peak: number): number {
  return (flopsPerToken * tokensPerSecond) / (peak * 1e9);
}
