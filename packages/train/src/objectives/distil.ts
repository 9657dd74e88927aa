/**
 * @file Distillation: distances to a teacher, weighed against each other and against cross-entropy, on the same tokens. The
 * teacher runs beside the student, or its views came with the documents (traces).
 */
import { canonicalJson, QuasarError } from '@quasar/base';
import { forward, type ModelConfig, vocabularyOperands } from '@quasar/model';
import { add, headLoss, noGrad, scale, Tensor } from '@quasar/tensor';
import { DISTANCES, type Distance, type DistanceOptions } from './divergences.ts';
import { headDistances, viewDistances } from './head-distances.ts';
import { type HiddenSpec, hiddenLoss } from './hidden-states.ts';
import { lessonsOf } from './lessons.ts';
import type { Objective } from './objective.ts';
import { type OnPolicySpec, onPolicyBatches } from './on-policy.ts';
import { countedRows, targetsOf, weightedMean, withAux } from './rows.ts';
import { runTeacher, type Teacher, withTeacher } from './teacher.ts';

/** Factors of what is added up. */
export type Terms = Partial<Record<Distance | 'ce', number>>;

export interface DistilOptions extends DistanceOptions {
  /**
   * Default: forward 1. A prediction without a teacher (`Document.distils` is false, or no view came with it) has cross-entropy
   * alone, as heavy as all terms together.
   */
  terms?: Terms | undefined;
  /**
   * Of a running teacher, forward at temperature 1: its best so many tokens and one bucket for the others, at most 1024. Default:
   * whole distributions.
   */
  topK?: number | undefined;
  hidden?: HiddenSpec | undefined;
  onPolicy?: OnPolicySpec | undefined;
}

/** Names of metrics; `kl` is what the contest measures. */
const METRICS: Record<Distance, string> = {
  forward: 'kl',
  reverse: 'reverse_kl',
  skew: 'skew_kl',
  skewReverse: 'skew_reverse_kl',
  js: 'js',
};

/**
 * @param teacher null: its views come with the documents. A batch with views is not shown to a teacher that runs.
 * @param student with hidden states: the model that will learn
 * @throws QuasarError train.bad_objective
 */
export function distilObjective(
  teacher: Teacher | null,
  options: DistilOptions = {},
  student?: ModelConfig,
): Objective {
  const { terms = { forward: 1 }, onPolicy, hidden: states } = options;
  checkOptions(teacher, { ...options, terms });
  const topK = options.topK && teacher ? Math.min(options.topK, teacher.config.vocab_size) : undefined;
  const all = Object.values(terms).reduce((sum, factor) => sum + factor, 0);
  const hidden = states && teacher && student ? hiddenLoss(states, student, teacher.config, deviceOf(teacher)) : null;
  return {
    name: `distil ${canonicalJson({ ...options, terms })}`,
    parameters: hidden?.parameters,
    ...(onPolicy ? { prepare: onPolicyBatches(onPolicy) } : {}),
    evaluate({ config, parameters }, input) {
      const { batch } = input;
      const { isOwn = false } = batch;
      const hiddenStates = hidden !== null;
      const out = forward(config, parameters, { ...batch, ...input, hiddenStates });
      const seen = teacher && !batch.teacher ? runTeacher(teacher, input, { hiddenStates }) : null;
      const counted = countedRows(batch, config.vocab_size);
      const lessons = lessonsOf(batch, counted, seen !== null);
      const { rows, head } = vocabularyOperands(parameters, out.hidden, counted.index);
      const parts: Tensor[] = [];
      const metrics: Record<string, Tensor> = {};
      const learn = (name: string, values: Tensor, factor: number) => {
        const mean = weightedMean(values, lessons.weights, input);
        metrics[isOwn ? `own_${name}` : name] = noGrad(() => scale(mean, 1));
        parts.push(scale(mean, factor));
      };

      if (!isOwn) {
        const weights = counted.weights.map((w, i) => w * (lessons.isLearned[i] ? (terms.ce ?? 0) : all));
        const lossOf = () => headLoss(rows, head, targetsOf(counted, batch, rows), undefined).crossEntropy;
        const isTrained = weights.some((w) => w > 0);
        const ce = isTrained ? lossOf() : noGrad(lossOf);
        metrics.ce = noGrad(() => weightedMean(ce, counted.weights, input));
        if (isTrained) parts.push(weightedMean(ce, weights, input));
      }
      const factors: Terms = isOwn ? (onPolicy?.terms ?? OWN_TERMS) : terms;
      const kinds = DISTANCES.filter((kind) => (factors[kind] ?? 0) > 0);
      const { index, view } = lessons;
      if (index.length > 0) {
        const own = { hidden: vocabularyOperands(parameters, out.hidden, index).rows, head };
        const found = seen
          ? headDistances(kinds, own, operandsOf(teacher as Teacher, seen.hidden, index), { ...options, topK })
          : viewDistances(kinds, own, view, options);
        kinds.forEach((kind, i) => {
          learn(METRICS[kind], found[i] as Tensor, factors[kind] as number);
        });
        if (hidden && seen)
          learn('hidden', hidden.evaluate(out.hiddenStates, seen.hiddenStates, index), states?.weight as number);
      }
      const loss = parts.length > 0 ? parts.reduce(add) : Tensor.zeros(rows.device, [1]);
      const state = seen ? withTeacher(out.state, seen.state) : out.state;
      return { loss: withAux(loss, out, input), metrics, counts: out.aux.counts, state };
    },
    dispose() {
      for (const tensor of hidden?.parameters.tensors.values() ?? []) tensor.dispose();
    },
  };
}

/** What a student learns of a teacher who reads what the student wrote. */
const OWN_TERMS: Terms = { reverse: 1 };

function operandsOf({ parameters }: Teacher, states: Tensor, index: Int32Array) {
  const { rows, head } = noGrad(() => vocabularyOperands(parameters, states, index));
  return { hidden: rows, head };
}

function deviceOf({ parameters }: Teacher) {
  return ([...parameters.values()][0] as Tensor).device;
}

function checkOptions(teacher: Teacher | null, options: DistilOptions & { terms: Terms }): void {
  const { terms, temperature = 1, alpha = 0.5, beta = 0.5, topK, hidden, onPolicy } = options;
  const refuse = (what: string, hint: string) => new QuasarError('train.bad_objective', `distil: ${what}`, { hint });
  for (const of of [terms, onPolicy?.terms ?? OWN_TERMS]) {
    const known = Object.entries(of).every(
      ([term, x]) => (term === 'ce' || DISTANCES.includes(term as Distance)) && x >= 0,
    );
    if (!known || !Object.values(of).some((x) => x > 0))
      throw refuse(`terms ${canonicalJson(of)}`, `give factors, not all 0, to some of: ce, ${DISTANCES.join(', ')}`);
  }
  if (!(temperature > 0)) throw refuse(`temperature ${temperature}`, 'it must be above 0; 1 changes nothing');
  for (const [name, x] of Object.entries({ alpha, beta }))
    if (!(x > 0 && x < 1)) throw refuse(`${name} ${x}`, 'a share between 0 and 1 is meant');
  if (topK !== undefined && !(topK >= 1 && temperature === 1))
    throw refuse(`topK ${topK} at temperature ${temperature}`, 'with another temperature leave topK out');
  if (onPolicy && !(onPolicy.share >= 0 && onPolicy.share <= 1 && (onPolicy.newTokens ?? 1) >= 1))
    throw refuse(
      `on-policy share ${onPolicy.share}, ${onPolicy.newTokens} new tokens`,
      'give a share of batches from 0 to 1',
    );
  if (!teacher && (hidden || onPolicy || topK))
    throw refuse(
      'hidden states, topK and on-policy batches need a teacher that runs',
      'name a teacher, or leave them out',
    );
}
