/**
 * @file Models that pass for good ones until they run: overflow, endless work, holes in the engine.
 *
 * Within the bounds of the numbers no weights were found that overflow, crash or slow the engine down, so two groups
 * open a door each: one takes the bounds away, the other gives the engine a hole for one model. What stands behind the
 * door has to hold: the cage, its watch, and the rule that a model is at fault only where another one gets through.
 */
import { type Attack, editTensor, type Hole, withTensor, withWeights } from './attack.ts';

const HEAD = 'lm_head.weight';
const FINAL_NORM = 'model.norm.weight';
const EMBEDDING_NORM = 'model.embed_norm.weight';
const ROUTER_BIAS = 'model.all_moe_bias';
const COLUMNS = 32;

const judged = (name: string, tries: string, files: Attack['files'] & {}): Attack => ({
  name,
  tries,
  label: 'judged',
  code: null,
  files,
});

const unlike = (name: string, tries: string, files: Attack['files'] & {}): Attack => ({
  name,
  tries,
  label: 'INVALID',
  code: 'eval.kl_above_threshold',
  files,
});

const times = (factor: number) => (value: number) => factor * value;
const ofRow = (row: number, change: (value: number) => number) => (value: number, i: number) =>
  Math.floor(i / COLUMNS) === row ? change(value) : value;

export const RUNNING: Attack[] = [
  unlike(
    'head turned around',
    'says last what should come first: a KL above the limit of the rules',
    withTensor(HEAD, times(-20)),
  ),
  {
    ...unlike(
      'certain and wrong, before all others',
      'certain of words that nobody else says: to who compares lists of words, everybody after it is its copy',
      withWeights((weights) => editTensor(editTensor(weights, HEAD, times(-30)), FINAL_NORM, () => 29)),
    ),
    early: true,
  },
  unlike(
    'one word always',
    'says one word whatever it reads',
    withWeights((weights) =>
      editTensor(
        editTensor(weights, FINAL_NORM, () => 29),
        HEAD,
        ofRow(7, () => 8),
      ),
    ),
  ),
  judged(
    'every token to one expert',
    'a bias just below the bound: one expert does the work of all, in the memory of all',
    withTensor(ROUTER_BIAS, (_, i) => (i === 0 ? 29 : -29)),
  ),
  judged(
    'products that are denormal',
    'weights of 1e-20, normal numbers all: their products are not, and cost some machines a hundred times as much',
    withWeights((weights) =>
      ['gate', 'up', 'down'].reduce(
        (sofar, name) => editTensor(sofar, `model.layers.0.ffn.${name}.weight`, times(1e-20)),
        weights,
      ),
    ),
  ),
  judged(
    'an embedding of almost nothing',
    'norms divide by next to zero',
    withTensor('model.embed_tokens.weight', times(1e-30)),
  ),
];

const overflowing = (name: string, tries: string, files: Attack['files'] & {}): Attack => ({
  name,
  tries,
  label: 'EVAL_ERROR',
  code: 'evals.not_finite',
  files,
});

/** The bounds of the numbers are taken away: only NaN and infinity in the file itself are still refused. */
export const OVERFLOWS: Attack[] = [
  overflowing('infinite logits', 'a head whose products overflow', withTensor(HEAD, times(1e38))),
  overflowing(
    'infinity for one word',
    'one infinite logit, all others finite',
    withTensor(
      HEAD,
      ofRow(7, () => 3e38),
    ),
  ),
  overflowing(
    'NaN from the first norm on',
    'infinity less infinity, in every state of every layer',
    withTensor(EMBEDDING_NORM, () => 3e38),
  ),
  overflowing(
    'NaN for a router',
    'experts chosen by numbers that are none: an index outside of the table',
    withTensor('model.layers.1.ln2.weight', () => 3e38),
  ),
  overflowing(
    'an expert that overflows',
    'infinite for the tokens of one expert only',
    withTensor('model.layers.1.ffn.experts_w12', times(1e30)),
  ),
  overflowing(
    'a state that overflows',
    'values that a recurrent state adds up',
    withTensor('model.layers.1.attn.v_proj.weight', times(3e37)),
  ),
  judged(
    'denormal numbers everywhere',
    'every product is one: a hundred times slower on some machines',
    withTensor('model.layers.0.ffn.up.weight', times(1e-39)),
  ),
];

const hole = (
  name: string,
  tries: string,
  code: string,
  does: Hole['does'],
  at: Hole['at'] = 'fingerprint',
): Attack => ({
  name,
  tries,
  label: 'EVAL_ERROR',
  code: `evaluation.${code}`,
  hole: { does, at },
});

/** The program of the cage has a hole for these models. */
export const HOLES: Attack[] = [
  hole('crash at first sight', 'the process aborts when it looks for copies', 'crashed', 'abort'),
  hole('crash in the duel', 'the process aborts while KL is measured', 'crashed', 'abort', 'kl'),
  hole('crash on the questions', 'the process aborts while it answers', 'crashed', 'abort', 'answers'),
  hole('crash in its own text', 'the process aborts while it writes', 'crashed', 'abort', 'rollouts'),
  hole('leaves quietly', 'the process ends as if it were done', 'crashed', 'exit'),
  hole('hangs', 'a loop without end', 'timeout', 'loop'),
  hole('takes memory', 'two gigabytes beyond the weights', 'memory', 'memory'),
  hole('fills the heap', 'objects without end', 'memory', 'heap'),
  hole('speaks for the cage', 'bytes in place of the result', 'bad_answer', 'nonsense'),
  hole('speaks for the cage in the duel', 'bytes in place of the KL', 'bad_answer', 'nonsense', 'kl'),
];
