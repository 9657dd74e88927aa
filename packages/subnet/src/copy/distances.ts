/** @file How far apart two records are, by each trace. Pure; symmetric in its two models. */
import { unpackChunks } from './content.ts';
import { ACTIVATION_CHANNELS, BEHAVIOUR_POSITIONS, type Fingerprint, READOUTS } from './fingerprint.ts';
import { unpackBf16, unpackDirections, unpackIds, unpackProbabilities } from './packed.ts';
import type { BaseTraces, WeightTraces } from './record.ts';

export interface Matches {
  identical: number;
  compared: number;
}

/** Of the tensors that either of them has as its own, but for those that say nothing. */
export function identicalTensors(a: WeightTraces, b: WeightTraces, without?: ReadonlySet<string>): Matches {
  const [names, others] = [a, b].map(({ tensors }) => Object.keys(tensors).filter((name) => !without?.has(name)));
  const identical = names!.filter((name) => a.tensors[name] === b.tensors[name]).length;
  return { identical, compared: Math.max(names!.length, others!.length) };
}

/** Of the chunks of tensors that both have as their own. */
export function identicalChunks(a: WeightTraces, b: WeightTraces): Matches {
  let [identical, compared] = [0, 0];
  for (const [name, text] of Object.entries(a.chunks)) {
    const other = b.chunks[name];
    if (other === undefined) continue;
    const [own, others] = [unpackChunks(text), unpackChunks(other)];
    compared += own.length;
    identical += own.filter((digest, i) => digest === others[i]).length;
  }
  return { identical, compared };
}

export interface ValueDistance {
  /** Values compared. */
  samples: number;
  cosine: number;
  /** ‖a − b‖ / max(‖a‖, ‖b‖). */
  relativeL2: number;
  /** Tensors in which the values of a and b stand in other places; those that are zero in the base do not count. */
  displaced: number;
}

/** Beyond this relative distance, values of a tensor stand in other places: training from one base does not get there. */
const DISPLACED = 0.3;

/** At the secret positions of matrices that both have as their own, in units of the base's root mean square. */
export function valueDistance(a: WeightTraces, b: WeightTraces, base: BaseTraces): ValueDistance {
  const [own, others]: [number[], number[]] = [[], []];
  let displaced = 0;
  for (const [name, packed] of Object.entries(a.samples)) {
    const other = b.samples[name];
    if (other === undefined) continue;
    const rms = base.rms.get(name) ?? 0;
    // A fresh base may hold a matrix of zeros; its copies are then compared in plain units.
    const inUnits = (text: string) => Array.from(unpackBf16(text), (value) => value / (rms || 1));
    const [x, y] = [inUnits(packed), inUnits(other)];
    if (rms > 0 && similarity(x, y).relativeL2 > DISPLACED) displaced++;
    own.push(...x);
    others.push(...y);
  }
  return { ...similarity(own, others), samples: own.length, displaced };
}

/** Cosine of two value vectors and ‖a − b‖ / max(‖a‖, ‖b‖). Two zero vectors share nothing. */
export function similarity(a: readonly number[], b: readonly number[]): { cosine: number; relativeL2: number } {
  let [ab, aa, bb, dd] = [0, 0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
    dd += (a[i]! - b[i]!) ** 2;
  }
  const norm = Math.sqrt(Math.max(aa, bb));
  if (norm === 0) return { cosine: 0, relativeL2: 1 };
  return { cosine: aa === 0 || bb === 0 ? 0 : ab / Math.sqrt(aa * bb), relativeL2: Math.sqrt(dd) / norm };
}

/** A layer in which a model is nearer to the base than this did nothing of its own. */
const OWN_WORK = 1e-3;

/**
 * How differently the layers of two models work, whatever their coordinates: per layer the median over sequences of the
 * distance of directions (a token sent to another expert must not decide), then the root mean square over the layers in
 * which both did something of their own. 0: the same functions, 1.4: unrelated ones.
 */
export function layerDistance(a: Fingerprint, b: Fingerprint, base: Fingerprint): { distance: number; layers: number } {
  const apart = (x: Fingerprint, y: Fingerprint, layer: number) => {
    const [own, others] = [x, y].map(({ readings }) => unpackDirections(readings[layer]!, READOUTS)) as [
      Float64Array[],
      Float64Array[],
    ];
    return median(own.map((vector, i) => Math.hypot(...vector.map((value, at) => value - others[i]![at]!))));
  };
  const own = a.readings.flatMap((_, layer) =>
    Math.min(apart(a, base, layer), apart(b, base, layer)) > OWN_WORK ? [apart(a, b, layer)] : [],
  );
  const squares = own.reduce((sum, distance) => sum + distance ** 2, 0);
  return { distance: own.length > 0 ? Math.sqrt(squares / own.length) : Number.POSITIVE_INFINITY, layers: own.length };
}

/** Mean over layers of the cosine of mean activations. */
export function activationCosine(a: Fingerprint, b: Fingerprint): number {
  const cosines = a.activations.map((text, i) => {
    const width = Math.min(ACTIVATION_CHANNELS, Buffer.from(text, 'base64').length / 2);
    const [x, y] = [text, b.activations[i]!].map((one) => unpackDirections(one, width)[0]!) as [
      Float64Array,
      Float64Array,
    ];
    return x.reduce((sum, value, at) => sum + value * y[at]!, 0);
  });
  return cosines.reduce((sum, cosine) => sum + cosine, 0) / cosines.length;
}

/**
 * Jensen-Shannon divergence of next-token distributions, nats, at its 95th percentile over positions. Of what the lists
 * leave open the likeliest case is taken, so it is never above the divergence of the whole distributions.
 */
export function behaviourDivergence(a: Fingerprint, b: Fingerprint): number {
  const [views, others] = [a, b].map(({ behaviour }) => distributions(behaviour)) as [Distribution[], Distribution[]];
  const divergences = views.map((view, i) => jensenShannon(view, others[i]!)).sort((x, y) => x - y);
  return divergences[Math.ceil(0.95 * divergences.length) - 1]!;
}

type Distribution = Map<number, number>;

function distributions({ ids, probabilities }: Fingerprint['behaviour']): Distribution[] {
  const [all, shares] = [unpackIds(ids), unpackProbabilities(probabilities)];
  const k = all.length / BEHAVIOUR_POSITIONS;
  return Array.from(
    { length: BEHAVIOUR_POSITIONS },
    (_, i) => new Map(Array.from({ length: k }, (_, at) => [all[i * k + at]!, shares[i * k + at]!])),
  );
}

function jensenShannon(a: Distribution, b: Distribution): number {
  let [shared, restA, restB] = [0, 1, 1];
  for (const [id, p] of a) {
    const q = b.get(id);
    if (q === undefined) continue;
    shared += jensenShannonTerm(p, q);
    restA -= p;
    restB -= q;
  }
  // Two lower bounds of the rest: all of it as one outcome; and each id that one lists at the most the other can give it.
  const together = jensenShannonTerm(Math.max(0, restA), Math.max(0, restB));
  return shared + Math.max(together, unlisted(a, b) + unlisted(b, a));
}

/** Of the ids that only `a` lists: `b` gives none of them more than the least that it lists. */
function unlisted(a: Distribution, b: Distribution): number {
  const most = Math.min(...b.values());
  return [...a].reduce((sum, [id, p]) => sum + (b.has(id) ? 0 : jensenShannonTerm(p, Math.min(p, most))), 0);
}

function jensenShannonTerm(p: number, q: number): number {
  const m = (p + q) / 2;
  const part = (x: number) => (x > 0 ? (x / 2) * Math.log(x / m) : 0);
  return part(p) + part(q);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)]! + sorted[Math.ceil((sorted.length - 1) / 2)]!) / 2;
}
