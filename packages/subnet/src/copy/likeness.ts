/**
 * @file Whether two models are the same work: the rules of copy detection over the distances of two records. Pure.
 *
 * Certainly a copy; or too near a limit to tell, because the limits are measured at places that a validator's secret
 * chooses and two secrets may differ that much (`near`); or neither. docs/copies.md says where each line lies and why.
 */
import {
  activationCosine,
  behaviourDivergence,
  identicalChunks,
  identicalTensors,
  layerDistance,
  valueDistance,
} from './distances.ts';
import type { BaseTraces, ContentRecord } from './record.ts';

export interface CopyRules {
  /** Share of own tensors that must be identical, embeddings and norms left out. */
  minIdenticalRatio: number;
  /** Fewer identical tensors than this are no proof, unless all are identical. */
  minIdenticalTensors: number;
  /** Share of secret chunks that must be identical, of at least so many. */
  minChunkRatio: number;
  minChunks: number;
  /** Fewer sampled values than this are no proof. */
  minSamples: number;
  minCosine: number;
  maxRelativeL2: number;
  /** So many tensors with their values in other places are no training. */
  minDisplacedTensors: number;
  /** A model with displaced tensors whose layers work as nearly like another's as this is that one in disguise. */
  maxLayerDistance: number;
  /** The same by what it says: Jensen-Shannon divergence of next tokens at the 95th percentile, nats. */
  maxBehaviourJs: number;
  /** Nothing that a secret measures is certain between limit / band and limit · band. */
  band: number;
}

export type CopyKind = 'content' | 'tensors' | 'chunks' | 'noise' | 'interpolation' | 'disguise' | 'behaviour';

export interface Likeness {
  kind: CopyKind;
  certainty: 'copy' | 'near';
  evidence: Record<string, number>;
}

/** A point between the base and another model is that model's work when it keeps at least this share of it. */
const MIN_FACTOR = 0.2;

/** How `subject` is like `other`: the surest layer that finds it so, or null. */
export function likeness(
  subject: ContentRecord,
  other: ContentRecord,
  rules: CopyRules,
  base: BaseTraces,
): Likeness | null {
  const found = [...sameTensors(subject, other, rules, base), ...sameValues(subject, other, rules, base)];
  return found.find(({ certainty }) => certainty === 'copy') ?? found[0] ?? null;
}

/** No secret decides here: all validators agree. */
function sameTensors(a: ContentRecord, b: ContentRecord, rules: CopyRules, base: BaseTraces): Likeness[] {
  const all = identicalTensors(a, b);
  const trained = identicalTensors(a, b, base.stable);
  const [ratio, allEqual] = [trained.identical / trained.compared, all.identical === all.compared];
  const isMost = trained.identical >= rules.minIdenticalTensors && ratio >= rules.minIdenticalRatio;
  if (!allEqual && !isMost) return [];
  const { identical, compared } = allEqual ? all : trained;
  const evidence = { identicalTensors: identical, comparedTensors: compared, identicalRatio: identical / compared };
  return [{ kind: allEqual ? 'content' : 'tensors', certainty: 'copy', evidence }];
}

function sameValues(a: ContentRecord, b: ContentRecord, rules: CopyRules, base: BaseTraces): Likeness[] {
  const found: Likeness[] = [];
  const add = (kind: CopyKind, ratioToLimit: number, evidence: Record<string, number>) => {
    // Above 1 / band of the limit, a sample is no proof; beyond band times the limit it is nothing.
    if (ratioToLimit <= rules.band)
      found.push({ kind, certainty: ratioToLimit <= 1 / rules.band ? 'copy' : 'near', evidence });
  };

  const chunks = identicalChunks(a, b);
  if (chunks.compared >= rules.minChunks)
    add('chunks', (1 - chunks.identical / chunks.compared) / (1 - rules.minChunkRatio), {
      identicalChunks: chunks.identical,
      comparedChunks: chunks.compared,
    });

  const values = valueDistance(a, b, base);
  const { samples, cosine, relativeL2, lineL2, factor, ownL2, displaced } = values;
  if (samples >= rules.minSamples) {
    const isAligned = 1 - cosine <= (1 - rules.minCosine) * rules.band ** 2;
    if (isAligned) add('noise', relativeL2 / rules.maxRelativeL2, { samples, cosine, relativeL2 });
    // Only where there is far more work than noise can a point on the line between base and original be told from both.
    if (factor >= MIN_FACTOR && ownL2 > 4 * rules.band * rules.maxRelativeL2)
      add('interpolation', lineL2 / rules.maxRelativeL2, { samples, lineL2, factor, ownL2 });
  }

  if (displaced >= rules.minDisplacedTensors && a.fingerprint && b.fingerprint && base.fingerprint) {
    const { distance, layers } = layerDistance(a.fingerprint, b.fingerprint, base.fingerprint);
    add('disguise', distance / rules.maxLayerDistance, { displacedTensors: displaced, layerDistance: distance, layers });
    const behaviourJs = behaviourDivergence(a.fingerprint, b.fingerprint);
    add('behaviour', behaviourJs / rules.maxBehaviourJs, {
      ...{ displacedTensors: displaced, behaviourJs },
      activationCosine: activationCosine(a.fingerprint, b.fingerprint),
    });
  }
  return found;
}
