/** @file What the process of a run and its workers tell each other. */
import type { ModelConfig, Positional } from '@quasar/model';
import type { Whole, Work } from '../compute.ts';
import type { ObjectiveSpec } from '../objectives/spec.ts';

/** All that a worker needs; weights and gradients lie in shared memory. */
export interface Opening {
  kind: 'open';
  /** Of the shared memory. */
  path: string;
  /** Which part of it takes this worker's gradients. */
  slot: number;
  threads: number;
  config: ModelConfig;
  /** tokenizer.json */
  tokenizer: string;
  objective: ObjectiveSpec;
  /** Parameters with a gradient, in order. */
  names: readonly string[];
  recompute: boolean | undefined;
  positional: Positional | undefined;
}

/** `version` counts steps: weights are read again when it changes. */
export type Order =
  | { kind: 'prepare'; version: number; work: Work; seed: string }
  | { kind: 'gradients'; version: number; work: Work; whole: Whole };

/** Of the gradient of a parameter: it lies in the slot, it came as rows, there is none. */
export type Found = 'whole' | { ids: Int32Array; rows: Float32Array } | null;

export type Reply =
  | { kind: 'opened' }
  | { kind: 'prepared'; work: Work }
  | {
      kind: 'gradients';
      found: Found[];
      metrics: Record<string, number>;
      counts: { shape: number[]; values: Float32Array }[];
    }
  | { kind: 'failed'; code: string; message: string; hint: string | undefined; data: unknown };
