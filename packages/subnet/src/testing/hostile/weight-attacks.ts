/** @file Attacks by the numbers: poison, extremes, and copies of other people's work under every disguise. */
import { writeSafetensors } from '@quasar/model';
import { blend, microWeights, noisy, type Weights } from '../checkpoints.ts';
import {
  type Attack,
  BASE,
  editTensor,
  type Files,
  type Honest,
  refused,
  stolen,
  TEACHER,
  withTensor,
  withWeights,
} from './attack.ts';
import { SMALLEST } from './ground.ts';

const HEAD = 'lm_head.weight';
const EMBEDDING = 'model.embed_tokens.weight';
const ROUTER = [...BASE.keys()].find((name) => name.endsWith('router_weights'))!;
const ROUTER_BIAS = 'model.all_moe_bias';

const every =
  (change: (value: number, index: number) => number) =>
  (weights: Weights): Weights =>
    new Map([...weights].map(([name, tensor]) => [name, { ...tensor, values: tensor.values.map(change) }]));

const at = (index: number, poison: number) => (value: number, i: number) => (i === index ? poison : value);

export const NUMBERS: Attack[] = [
  refused(
    'one NaN',
    'a KL that is neither above nor below any limit',
    'not_finite',
    withTensor(HEAD, at(77, Number.NaN)),
  ),
  refused(
    'NaN in the last value',
    'where a sample may not look',
    'not_finite',
    withTensor(HEAD, (v, i) => (i === 272 * 32 - 1 ? Number.NaN : v)),
  ),
  refused('NaN everywhere', 'no numbers at all', 'not_finite', withWeights(every(() => Number.NaN))),
  refused('infinity', 'overflows whatever it meets', 'not_finite', withTensor(HEAD, at(5, Number.POSITIVE_INFINITY))),
  refused(
    'negative infinity',
    'a token that is never said',
    'not_finite',
    withTensor(EMBEDDING, at(5, Number.NEGATIVE_INFINITY)),
  ),
  refused(
    'NaN in a router buffer',
    'poison where no gradient goes',
    'not_finite',
    withTensor(ROUTER_BIAS, at(0, Number.NaN)),
  ),
  refused('one value of 1e30', 'overflows in a product', 'huge_values', withTensor(HEAD, at(9, 1e30))),
  refused('largest number there is', 'overflows in a sum', 'huge_values', withTensor(EMBEDDING, at(9, 3.3e38))),
  refused(
    'everything times 1,000',
    'sharp outputs that no training gives',
    'scale',
    withWeights(every((v) => 1000 * v)),
  ),
  refused(
    'one matrix times 1,000',
    'a model that cannot be trained further',
    'scale',
    withTensor('model.layers.0.ffn.up.weight', (v) => 1000 * v),
  ),
  refused(
    'one embedding row times 1,000',
    'a word that switches the model',
    'scale',
    withTensor(EMBEDDING, (v, i) => (Math.floor(i / 32) === 7 ? 1000 * v : v)),
  ),
  refused(
    'one head row times 1,000',
    'a word that is always or never said',
    'scale',
    withTensor(HEAD, (v, i) => (Math.floor(i / 32) === 7 ? 1000 * v : v)),
  ),
  refused(
    'norm weight of 31',
    'rescaled norms: the model explodes when it is trained further',
    'norm_weight',
    withTensor('model.norm.weight', (v) => 31 * v),
  ),
  refused(
    'one norm weight of -40',
    'the same in one channel',
    'norm_weight',
    withTensor('model.layers.0.ln1.weight', at(3, -40)),
  ),
  refused(
    'norm of the embedding of 1,000',
    'the same at the entrance',
    'norm_weight',
    withTensor('model.embed_norm.weight', () => 1000),
  ),
  refused('all zero', 'no model at all', 'all_zero', withWeights(every(() => 0))),
  refused(
    'one matrix of zeros',
    'a layer switched off',
    'all_zero',
    withTensor('model.layers.1.attn.o_proj.weight', () => 0),
  ),
  refused(
    'head of zeros',
    'every word equally likely',
    'all_zero',
    withTensor(HEAD, () => 0),
  ),
  refused(
    'denormal numbers',
    'a hundred times slower on some machines, zero on others',
    'denormal',
    withTensor(HEAD, () => 1e-39),
  ),
  refused(
    'denormal numbers among others',
    'the same in a twentieth of the values',
    'denormal',
    withTensor(HEAD, (v, i) => (i % 20 === 0 ? 1e-39 : v)),
  ),
  refused(
    'router of equal rows',
    'every token to the same experts',
    'router_collapse',
    withTensor(ROUTER, (_, i) => ((i % 32) + 1) / 100),
  ),
  refused(
    'router bias of 1,000',
    'one expert for every token',
    'router_collapse',
    withTensor(ROUTER_BIAS, at(0, 1000)),
  ),
];

const copy = (name: string, tries: string, code: string, files: (honest: Honest) => Files): Attack => ({
  name,
  tries,
  label: 'COPY',
  code: `copy.${code}`,
  files,
});

const noise = (size: number) => stolen((weights) => noisy(weights, `noise ${size}`, size));

/** The nearest number of 11 bits, with the exponents of F16. */
function throughF16(value: number): number {
  const exponent = value === 0 ? 0 : Math.max(-14, Math.floor(Math.log2(Math.abs(value))));
  const step = 2 ** (exponent - 10);
  return Math.round(value / step) * step;
}

/** Matrices in equal steps up to their largest value. */
const inSteps =
  (steps: number) =>
  (weights: Weights): Weights =>
    new Map(
      [...weights].map(([name, tensor]) => {
        const largest = tensor.values.reduce((most: number, v) => Math.max(most, Math.abs(v)), 0);
        if (tensor.shape.length < 2 || largest === 0) return [name, tensor];
        const step = largest / steps;
        return [name, { ...tensor, values: Float32Array.from(tensor.values, (v) => Math.round(v / step) * step) }];
      }),
    );

/** A share of the tensors of somebody else, the rest own ones. */
const mixed = (share: number) =>
  stolen((weights) => {
    const own = blend(BASE, microWeights('mixed'), 0.3);
    const names = [...weights.keys()];
    return new Map(names.map((name, i) => [name, (i < share * names.length ? weights : own).get(name)!]));
  });

export const COPIES: Attack[] = [
  copy('the same files', 'the weights of an earlier submission in an own repository', 'same_content', stolen()),
  copy(
    'tensors in another order',
    'another file of the same tensors',
    'same_content',
    stolen((weights) => new Map([...weights].reverse())),
  ),
  copy('other metadata', 'another header of the same tensors', 'same_content', ({ files }) =>
    new Map(files).set(
      'model.safetensors',
      writeSafetensors(SMALLEST.victim, { format: 'pt', author: 'somebody else' }),
    ),
  ),
  copy(
    'written again',
    'read, rounded to the same type, and written',
    'same_content',
    stolen(every((v) => Math.fround(v))),
  ),
  copy('the base model', 'nothing was trained', 'same_base', stolen(undefined, BASE)),
  copy(
    'one tensor changed',
    'one tensor of an earlier submission made own',
    'same_tensors',
    stolen((weights) => editTensor(weights, HEAD, (v, i) => (i % 2 === 0 ? v * 1.5 : v))),
  ),
  copy('95 % stolen', 'a twentieth of the tensors are own', 'same_tensors', mixed(0.95)),
  copy('noise of 1e-5', 'below one step of BF16', 'same_noise', noise(1e-5)),
  copy('noise of 1e-4', 'a few values move by one step', 'same_noise', noise(1e-4)),
  copy('noise of 3e-4', 'some values move by one step', 'same_noise', noise(3e-4)),
  copy('through F16 and back', 'rounded to the other 16-bit type on the way', 'same_noise', stolen(every(throughF16))),
  {
    name: 'noise of 4e-3',
    tries: 'at the line between noise and training: nobody is called a copy in doubt',
    label: 'DEFERRED',
    code: 'copy.near',
    files: noise(3.6e-3),
  },
  copy(
    'tensors that nothing reads',
    'own values in tensors that are part of the file and not of the computation',
    'same_activations',
    stolen((weights) =>
      [...weights.keys()]
        .filter((name) => /f_proj|A_log|dt_bias|injection_gate|momentum|max_vio/.test(name))
        .reduce((sofar, name) => editTensor(sofar, name, (v, i) => 0.1 * ((i % 7) - 3) - v), weights),
    ),
  ),
  {
    name: '8 bits and back',
    tries: 'every tensor in 256 steps: moved as far as training moves it, so the duel decides',
    label: 'judged',
    code: null,
    files: stolen(inSteps(127)),
  },
  {
    name: '4 bits and back',
    tries: 'every tensor in 16 steps: a worse model',
    label: 'judged',
    code: null,
    files: stolen(inSteps(7)),
  },
  {
    name: 'noise of 1e-2',
    tries: 'noise above the steps of BF16, in the hope of luck',
    label: 'judged',
    code: null,
    files: noise(1e-2),
  },
  {
    name: 'noise of 1e-1',
    tries: 'so much noise that the model is a worse one',
    label: 'judged',
    code: null,
    files: noise(1e-1),
  },
  {
    name: 'half stolen',
    tries: 'half of the tensors of somebody else: a merge, which has to win by itself',
    label: 'judged',
    code: null,
    files: mixed(0.5),
  },
  {
    name: 'the teacher itself',
    tries: 'outputs equal to the teacher: not a student',
    label: 'INVALID',
    code: 'eval.teacher_identical',
    files: stolen(undefined, TEACHER),
  },
  {
    name: 'random model',
    tries: 'noise twenty times the size of the weights: it does not get as far as an evaluation',
    label: 'INVALID',
    code: 'precheck.scale',
    files: stolen((weights) => noisy(weights, 'random model', 20)),
  },
];
