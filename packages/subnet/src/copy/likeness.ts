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
  /** So many tensors with their values in other places are not what training from one base comes to. */
  minDisplacedTensors: number;
  /**
   * Training moves what layers do at least as far as it moves weights. A model with displaced tensors whose layers are
   * apart by at most this share of the distance of its weights is the other one in disguise.
   */
  maxLayerShare: number;
  /** Jensen-Shannon divergence of next tokens at the 95th percentile, nats, below which two models say the same. */
  maxBehaviourJs: number;
  /** Cosine of mean activations from which on, saying the same, they are the same without any disguise. */
  minActivationCosine: number;
  /** Nothing that a secret measures is certain between limit / band and limit · band. */
  band: number;
}

export type CopyKind = 'content' | 'tensors' | 'chunks' | 'noise' | 'disguise' | 'activations' | 'behaviour';

export interface Likeness {
  kind: CopyKind;
  certainty: 'copy' | 'near';
  evidence: Record<string, number>;
}

/** Few tokens and few readers: two secrets see distances of layers that differ by up to two thirds. */
const LAYER_BAND = 2;

/** Two models may say the same by at most this share of what they say otherwise than the base. */
const MAX_OWN_SHARE = 0.1;

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
  const add = (kind: CopyKind, ratioToLimit: number, evidence: Record<string, number>, band = rules.band) => {
    // Above 1 / band of the limit, a sample is no proof; beyond band times the limit it is nothing.
    if (ratioToLimit <= band) found.push({ kind, certainty: ratioToLimit <= 1 / band ? 'copy' : 'near', evidence });
  };

  const chunks = identicalChunks(a, b);
  if (chunks.compared >= rules.minChunks)
    add('chunks', (1 - chunks.identical / chunks.compared) / (1 - rules.minChunkRatio), {
      identicalChunks: chunks.identical,
      comparedChunks: chunks.compared,
    });

  const { samples, cosine, relativeL2, displaced } = valueDistance(a, b, base);
  if (samples >= rules.minSamples) {
    const isAligned = 1 - cosine <= (1 - rules.minCosine) * rules.band ** 2;
    if (isAligned) add('noise', relativeL2 / rules.maxRelativeL2, { samples, cosine, relativeL2 });
  }

  const [x, y, origin] = [a.fingerprint, b.fingerprint, base.fingerprint];
  if (!x || !y || !origin) return found;
  if (displaced >= rules.minDisplacedTensors) {
    const { distance, layers } = layerDistance(x, y, origin);
    const share = distance / (relativeL2 * rules.maxLayerShare);
    const seen = { displacedTensors: displaced, layerDistance: distance, layers, relativeL2 };
    add('disguise', share, seen, LAYER_BAND);
  }
  const js = behaviourDivergence(x, y);
  // Models that learned little all say the same: both must have gone far from the base for it.
  const own = Math.min(behaviourDivergence(x, origin), behaviourDivergence(y, origin));
  const heard = Math.max(js / rules.maxBehaviourJs, js / (MAX_OWN_SHARE * own));
  const activation = activationCosine(x, y);
  const evidence = { behaviourJs: js, activationCosine: activation, relativeL2, displacedTensors: displaced };
  if (displaced >= rules.minDisplacedTensors) add('behaviour', heard, evidence);
  add('activations', Math.max((1 - activation) / (1 - rules.minActivationCosine), heard), evidence);
  return found;
}
