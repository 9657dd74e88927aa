/** @file Somebody else's model in other coordinates: every symmetry of the family, each alone, and all of them together. */
import { noisy, type Weights } from '../checkpoints.ts';
import { permuted, rescaled, rotated } from '../disguises.ts';
import { symmetriesOf } from '../symmetries.ts';
import { type Attack, type Label, stolen } from './attack.ts';
import { TWO_HEADS } from './ground.ts';

const { permutations, scales, rotations } = symmetriesOf(TWO_HEADS.config);

const of = <T extends { kind: string }>(all: readonly T[], ...kinds: T['kind'][]): T[] =>
  all.filter(({ kind }) => kinds.includes(kind));

const copy = (
  name: string,
  tries: string,
  kind: string,
  change: (weights: Weights) => Weights,
  label: Label = 'COPY',
): Attack => ({
  name,
  tries,
  label,
  code: label === 'judged' ? null : kind === 'near' ? 'copy.near' : `copy.same_${kind}`,
  files: stolen(change, TWO_HEADS.victim),
});

const halfToDouble = (rng: { next(): number }) => 0.5 + 1.5 * rng.next();

const everything = (weights: Weights): Weights =>
  permuted(rescaled(rotated(weights, rotations, 'all'), scales, 'all', halfToDouble), permutations, 'all');

export const SYMMETRIES: Attack[] = [
  copy('heads exchanged', 'heads in another order, with all that belongs to them', 'disguise', (weights) =>
    permuted(weights, of(permutations, 'heads'), 'swapped'),
  ),
  copy('experts exchanged', 'experts in another order, with rows and biases of the router', 'tensors', (weights) =>
    permuted(weights, of(permutations, 'experts'), 'e'),
  ),
  copy('heads and experts exchanged', 'both', 'disguise', (weights) =>
    permuted(weights, of(permutations, 'heads', 'experts'), 'both'),
  ),
  copy('channels of values exchanged', 'with output norm and gate', 'activations', (weights) =>
    permuted(weights, of(permutations, 'channels'), 'c'),
  ),
  copy('hidden units exchanged', 'units of feed-forwards and of experts in another order', 'disguise', (weights) =>
    permuted(weights, of(permutations, 'hidden'), 'h'),
  ),
  copy('residual channels exchanged', 'the stream between all layers in another order', 'disguise', (weights) =>
    permuted(weights, of(permutations, 'residual'), 'r'),
  ),
  copy('signs of residual channels', 'half of the channels negated, everywhere', 'disguise', (weights) =>
    rescaled(weights, of(scales, 'sign'), 's'),
  ),
  copy('norms rescaled', 'norm weights moved into the next projection, by powers of two', 'disguise', (weights) =>
    rescaled(weights, of(scales, 'norm'), 'n'),
  ),
  copy('norms rescaled by any factor', 'the same, rounded on the way', 'disguise', (weights) =>
    rescaled(weights, of(scales, 'norm'), 'n', halfToDouble),
  ),
  copy('up and down rescaled', 'factors moved from one projection to the next', 'disguise', (weights) =>
    rescaled(weights, of(scales, 'up_down'), 'u', halfToDouble),
  ),
  copy('convolutions rescaled', 'factors moved from a projection to its convolution', 'activations', (weights) =>
    rescaled(weights, of(scales, 'convolution'), 'c', halfToDouble),
  ),
  copy('queries and keys rescaled', 'factors moved from keys to queries', 'tensors', (weights) =>
    rescaled(weights, of(scales, 'query_key'), 'q', halfToDouble),
  ),
  copy('bottlenecks rotated', 'a rotation between two linear maps of the experts', 'disguise', (weights) =>
    rotated(weights, rotations, 'b'),
  ),
  copy('every symmetry at once', 'no tensor is left as it was', 'disguise', everything),
  copy('every symmetry, and noise of 3e-3', 'and nothing computes exactly the same', 'disguise', (weights) =>
    noisy(everything(weights), 'over everything', 3e-3),
  ),
  copy('every symmetry, and noise of 1e-2', 'and nothing computes nearly the same', 'disguise', (weights) =>
    noisy(everything(weights), 'over everything', 1e-2),
  ),
];
