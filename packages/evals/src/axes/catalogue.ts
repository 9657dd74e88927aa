/**
 * @file What the axes are and where their questions come from. Names and weights are those of the published contest (subnet.md
 * section 12); counts, limits and weights live in the rules of the contest (`subnet/src/rules/config.ts`).
 *
 * A ladder lists tasks of the world from easy to hard; the rules say which rungs are asked. The low rungs are what models of
 * a million parameters learn from the default data (`--data world`), the high ones what models of a billion are asked.
 */

export interface Rung {
  task: string;
  level: number;
}

export interface AxisEntry {
  /**
   * relative: against the other models of the round. derived: from the answers on other axes. pass: share of right replies.
   * robust: right in every wording. conversation: the teacher's likelihood of the reply, and checks.
   */
  kind: 'relative' | 'derived' | 'pass' | 'robust' | 'conversation';
  /** One line for reports. */
  measures: string;
  /** Easy to hard; empty where nothing is asked. */
  ladder: readonly Rung[];
}

/** `task 0 1 2`: levels of a task. */
function rungs(...texts: string[]): Rung[] {
  return texts.flatMap((text) => {
    const [task = '', ...levels] = text.split(' ');
    return levels.map((level) => ({ task, level: Number(level) }));
  });
}

const REWORDED = rungs(
  ...['facts 1', 'sort 1', 'recall 1', 'chat 1', 'copy 1'],
  ...['facts 3', 'word_problem 1', 'ordering 2', 'trace_program 1', 'needle 1'],
);
const EASY = 'arithmetic copy reverse sort recall facts instruction tool_call chat program'.split(' ');
const HARD =
  'word_problem competition ordering trace_program write_program constraints tool_schema needle dialogue'.split(' ');

const ENTRIES = {
  on_policy_rkl: {
    kind: 'relative',
    measures: 'the model talks, the teacher judges every token: reverse KL on its own text',
    ladder: [],
  },
  kl: { kind: 'relative', measures: 'KL of the duel, against the king', ladder: [] },
  capability: {
    kind: 'pass',
    measures: 'right replies over all kinds of tasks, half on an absolute scale, half against the teacher',
    ladder: [
      ...EASY.flatMap((task) => rungs(`${task} 0`)),
      ...[...EASY, ...HARD].flatMap((task) => rungs(`${task} 1`)),
    ],
  },
  length: { kind: 'derived', measures: 'replies not more than twice as long as the teacher’s', ladder: [] },
  degeneracy: { kind: 'derived', measures: 'turns end, nothing loops, replies differ', ladder: [] },
  judge_probe: {
    kind: 'conversation',
    measures: 'single requests: would the teacher say this, and is it right',
    ladder: rungs('chat 0', 'instruction 0', 'copy 0', 'chat 3', 'instruction 3', 'constraints 0 1'),
  },
  chat_turns_probe: {
    kind: 'conversation',
    measures: 'the last reply of a dialogue: what was said earlier, and corrected, still holds',
    ladder: rungs('chat 1 2 3', 'dialogue 0 1 2 3'),
  },
  reasoning_density: {
    kind: 'derived',
    measures: 'right replies, discounted beyond a target length per axis',
    ladder: [],
  },
  math_bench: {
    kind: 'pass',
    measures: 'arithmetic and stories of several steps',
    ladder: rungs('arithmetic 0 1 2 3', 'word_problem 0 1 2 3'),
  },
  code_bench: {
    kind: 'pass',
    measures: 'saying what a program prints',
    ladder: rungs('program 0 1 2 3', 'trace_program 0 1 2 3'),
  },
  reasoning_bench: {
    kind: 'pass',
    measures: 'facts that must be joined, sorting, reversing, ordering',
    ladder: rungs('facts 0 1', 'sort 0', 'reverse 0', 'facts 2 3', 'sort 3', 'reverse 3', 'ordering 1 2 3'),
  },
  ifeval_bench: {
    kind: 'pass',
    measures: 'instructions whose every demand a program can check',
    ladder: rungs('instruction 0 1 2 3', 'constraints 0 1 2 3'),
  },
  aime: {
    kind: 'pass',
    measures: 'competition problems with an integer from 0 to 999',
    ladder: rungs('competition 0 1 2 3'),
  },
  mbpp: {
    kind: 'pass',
    measures: 'writing a small program, run against hidden tests',
    ladder: rungs('write_program 0 1 2 3'),
  },
  tool_use: {
    kind: 'pass',
    measures: 'calling listed tools in JSON',
    ladder: rungs('tool_call 0 1 2 3', 'tool_schema 0 1 2 3'),
  },
  long_context: {
    kind: 'pass',
    measures: 'one fact among distractors and confusers',
    ladder: rungs('recall 0 1 2 3', 'needle 0 1 2 3'),
  },
  robustness: {
    kind: 'robust',
    measures: 'the same question in several wordings, right in all of them',
    ladder: REWORDED,
  },
  noise_resistance: { kind: 'pass', measures: 'questions with slips of the keyboard', ladder: REWORDED },
  self_consistency: {
    kind: 'derived',
    measures: 'the same reply to every wording of a question, right or wrong',
    ladder: [],
  },
} as const satisfies Record<string, AxisEntry>;

export type AxisName = keyof typeof ENTRIES;

export const AXES: Readonly<Record<AxisName, AxisEntry>> = ENTRIES;
export const AXIS_NAMES = Object.keys(ENTRIES) as [AxisName, ...AxisName[]];

export function isAxisName(name: string): name is AxisName {
  return Object.hasOwn(AXES, name);
}
