/**
 * @file For tests: the gates that every family must pass (architecture §9), registered for a small model of it. Each runs
 * in float64 on the reference device and in float32 on the best device there is (`QUASAR_DEVICE=wasm` chooses another).
 */
import { type Device, openDevice, referenceDevice } from '@quasar/tensor';
import { describe } from 'vitest';
import type { ModelConfig } from '../families/index.ts';
import type { Parameters } from '../parameters.ts';
import { causalityGates } from './gates/causality.ts';
import { type GradientCase, gradientGates } from './gates/gradient.ts';
import { type Loops, loopGates } from './gates/loops.ts';
import { packingGates } from './gates/packing.ts';
import { parityGate } from './gates/parity.ts';
import { streamingGates } from './gates/streaming.ts';
import { trainingGates } from './gates/training.ts';
import { tinyParameters } from './tiny.ts';

export interface GateSubject {
  /** A model of every kind of layer, small enough for the reference device. */
  config: ModelConfig;
  /** Values of its parameters, the same on every device. Default: a fresh model with noise where values are round. */
  makeParameters?: (device: Device, config: ModelConfig, seed?: string) => Promise<Parameters>;
  /** For finite differences in float64. */
  gradients: readonly GradientCase[];
  /** Of a family that can run its layers more than once. */
  loops?: Loops;
  /** The state grows with what was read, as a cache of keys and values does. */
  stateGrows?: boolean;
}

/** A subject on a device, as the gates see it. */
export interface GateCase extends Required<Omit<GateSubject, 'gradients' | 'loops'>> {
  loops: Loops | null;
  device: Device;
  /** Relative error that another order of the same computation may cause. */
  tolerance: number;
  /** Tokens of a sequence; more than one chunk, and not a multiple of one. */
  length: number;
}

const DEVICES = [
  { name: 'float64 reference', device: referenceDevice({ precision: 'f64' }), tolerance: 1e-12, length: 70 },
  { name: 'best device', device: openDevice('auto'), tolerance: 5e-6, length: 150 },
];

export function gates(name: string, subject: GateSubject): void {
  const { makeParameters = tinyParameters, loops = null, stateGrows = false } = subject;
  describe(`gates of ${name}`, () => {
    describe.each(DEVICES)('$name', (on) => {
      const one: GateCase = { ...subject, makeParameters, loops, stateGrows, ...on };
      causalityGates(one);
      streamingGates(one);
      packingGates(one);
      trainingGates(one);
      if (loops) loopGates(one, loops);
    });
    parityGate(subject.config, makeParameters);
    for (const one of subject.gradients) gradientGates(one, makeParameters);
  });
}
