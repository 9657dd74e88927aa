/**
 * @file The numbers of the axes (subnet.md section 12). What an axis measures and which tasks its rungs are: the catalogue of
 * `@quasar/evals`, and `docs/axes.md`.
 */
import { AXES, AXIS_NAMES, type AxisQuestions } from '@quasar/evals';
import { WORDING_CHANGES } from '@quasar/world';
import { z } from 'zod';

const count = z.int().min(0);
const positive = z.int().min(1);
const share = z.number().min(0).max(1);

const questions = z
  .strictObject({
    items: positive,
    /** First and last rung of the axis' ladder that are asked, inclusive. */
    rungs: z.tuple([count, count]),
    maxNewTokens: positive,
    /** Beyond it a right reply counts less for `reasoning_density`; null: it does not count there. */
    targetTokens: positive.nullable(),
  })
  .refine(({ rungs: [first, last] }) => first <= last, 'the first rung must not be above the last');

const spec = z
  .strictObject({
    name: z.enum(AXIS_NAMES),
    weight: z.number().min(0),
    /** Fewer valid items than this and the axis is absent. */
    minValid: count,
    /** Null: nothing is asked, and the axis is computed from other measurements or absent. */
    questions: questions.nullable(),
  })
  .refine(
    ({ name, questions }) => questions === null || questions.rungs[1] < AXES[name].ladder.length,
    'the ladder of this axis has no such rung',
  );

export const axesSchema = z.strictObject({
  specs: z
    .array(spec)
    .min(1)
    .refine((specs) => new Set(specs.map(({ name }) => name)).size === specs.length, 'an axis is listed twice'),
  /** How the wording of each question is changed, and in how many wordings a robust axis asks it. */
  wording: z.strictObject({ changes: z.array(z.enum(WORDING_CHANGES)), wordings: positive }),
  onPolicy: z.strictObject({
    prompts: positive,
    maxNewTokens: positive,
    temperature: z.number().min(0),
    topP: share,
    topK: positive,
  }),
  broken: z.strictObject({ minTeacher: share, needsBaseAboveZero: z.boolean() }),
});

export type AxesConfig = z.infer<typeof axesSchema>;
export type AxisConfig = AxesConfig['specs'][number];

/** What the axes of a config ask. */
export function axisQuestions({ specs }: AxesConfig): AxisQuestions[] {
  return specs.flatMap(({ name, questions }) => (questions ? [{ name, ...questions }] : []));
}

type Name = AxisConfig['name'];
type Questions = NonNullable<AxisConfig['questions']>;

function axis(
  name: Name,
  weight: number,
  minValid: number,
  asks: [items: number, rungs: [number, number], maxNewTokens: number, targetTokens?: number] | null = null,
): AxisConfig {
  const [items = 0, rungs = [0, 0], maxNewTokens = 0, targetTokens = null] = asks ?? [];
  return { name, weight, minValid, questions: asks && { items, rungs, maxNewTokens, targetTokens } };
}

/** Weights, items, limits and targets as published; where nothing is published (capability, probes, robustness), ours. */
export const UPSTREAM_AXES: AxesConfig = {
  specs: [
    axis('on_policy_rkl', 0.35, 1),
    axis('kl', 0.15, 1),
    axis('capability', 0.25, 4, [36, [10, 28], 384]),
    axis('length', 0.1, 4),
    axis('degeneracy', 0.15, 4),
    axis('judge_probe', 0.15, 4, [16, [3, 6], 384]),
    axis('chat_turns_probe', 0.08, 2, [6, [3, 6], 384]),
    axis('reasoning_density', 0.05, 4),
    axis('math_bench', 0.14, 4, [12, [3, 7], 384, 400]),
    axis('code_bench', 0.14, 2, [8, [3, 7], 512, 300]),
    axis('reasoning_bench', 0.1, 4, [10, [5, 9], 128, 150]),
    axis('ifeval_bench', 0.07, 4, [8, [3, 7], 512, 250]),
    axis('aime', 0.1, 3, [8, [0, 3], 1024, 800]),
    axis('mbpp', 0.08, 3, [8, [0, 3], 512, 250]),
    axis('tool_use', 0.06, 3, [6, [2, 7], 320, 300]),
    axis('long_context', 0.04, 2, [4, [7, 7], 32, 30]),
    axis('robustness', 0.07, 2, [6, [5, 9], 384, 400]),
    axis('noise_resistance', 0, 2, [6, [5, 9], 384]),
    axis('self_consistency', 0, 2),
  ],
  wording: { changes: [...WORDING_CHANGES], wordings: 2 },
  onPolicy: { prompts: 16, maxNewTokens: 128, temperature: 0.7, topP: 0.9, topK: 128 },
  broken: { minTeacher: 0.7, needsBaseAboveZero: true },
};

/**
 * What the shipped models can answer: rungs of the default training data, short replies, wording as trained. They were never
 * trained to write programs or to solve competition problems, so those two axes are absent; give them questions when your
 * teacher was (`docs/axes.md`).
 */
const LOCAL_QUESTIONS: Partial<Record<Name, Questions | null>> = {
  capability: { items: 20, rungs: [0, 19], maxNewTokens: 24, targetTokens: null },
  judge_probe: { items: 12, rungs: [0, 2], maxNewTokens: 24, targetTokens: null },
  chat_turns_probe: { items: 12, rungs: [0, 1], maxNewTokens: 24, targetTokens: null },
  math_bench: { items: 16, rungs: [0, 1], maxNewTokens: 24, targetTokens: 6 },
  code_bench: { items: 16, rungs: [0, 1], maxNewTokens: 24, targetTokens: 6 },
  reasoning_bench: { items: 16, rungs: [0, 3], maxNewTokens: 24, targetTokens: 10 },
  ifeval_bench: { items: 16, rungs: [0, 1], maxNewTokens: 32, targetTokens: 12 },
  aime: null,
  mbpp: null,
  tool_use: { items: 16, rungs: [0, 1], maxNewTokens: 32, targetTokens: 24 },
  long_context: { items: 12, rungs: [0, 1], maxNewTokens: 24, targetTokens: 4 },
  robustness: { items: 10, rungs: [0, 4], maxNewTokens: 24, targetTokens: 10 },
  noise_resistance: null,
};

export const LOCAL_AXES: AxesConfig = {
  specs: UPSTREAM_AXES.specs.map((spec) => ({ ...spec, questions: LOCAL_QUESTIONS[spec.name] ?? null })),
  wording: { changes: [], wordings: 2 },
  onPolicy: { prompts: 8, maxNewTokens: 24, temperature: 0.7, topP: 0.9, topK: 32 },
  // The base is untrained: zero on an axis says nothing about the axis.
  broken: { minTeacher: 0.25, needsBaseAboveZero: false },
};
