/** @file What is remembered of a checkpoint to recognise copies of it. Small: it stands in the contest log. */
import type { Submission } from '../rules/submission.ts';
import type { Fingerprint } from './fingerprint.ts';

/** Traces of a checkpoint's weights. Positions of chunks and samples come from a validator's secret. */
export interface WeightTraces {
  /** sha256 per tensor name. */
  tensors: Readonly<Record<string, string>>;
  /** Digests of chunks, eight bytes each, base64 (`packed.ts`). */
  chunks: Readonly<Record<string, string>>;
  /** Values of matrices as BF16, base64. */
  samples: Readonly<Record<string, string>>;
}

/** Of a submission: only tensors that differ from the base model, which is nobody's work. */
export interface ContentRecord extends WeightTraces {
  submission: Submission;
  /** What it computes; absent where nobody ran it. */
  fingerprint?: Fingerprint | undefined;
  /** Id of the original when this one was itself found to be a copy. */
  copyOf?: string | undefined;
}

/** The base model seen in the same way, whole: the origin from which work is measured. */
export interface BaseTraces extends WeightTraces {
  /** Root mean square per tensor: the unit of samples, so that no tensor outweighs the others. */
  rms: ReadonlyMap<string, number>;
  /** Tensors that many honest models share: embeddings and norms. */
  stable: ReadonlySet<string>;
  fingerprint?: Fingerprint | undefined;
}
