/** @file `quasar distill`: a student learns the distribution of a teacher, or from its traces. */
import type { DistilStageOptions } from '@quasar/train';
import { Command, InvalidArgumentError, Option } from 'commander';
import { contextOf, fromCaller } from '../context.ts';
import { wholeNumber } from '../options.ts';
import { runTraining, stageOptions, type TrainingOptions, withTrainingOptions } from '../training-run.ts';

type Objective = NonNullable<DistilStageOptions['objective']>;

interface DistillOptions extends TrainingOptions {
  student: string;
  teacher?: string;
  traces?: string;
  terms?: string;
  temperature?: number;
  topK?: number;
  onPolicy?: number;
  hidden?: string;
  hiddenWeight: number;
  untaughtData?: boolean;
}

/** As in `node bench/distil.js`. */
const DEFAULT_HIDDEN_WEIGHT = 0.2;

const TERMS = ['forward', 'reverse', 'skew', 'skewReverse', 'js', 'ce'];

export function distill(): Command {
  return withTrainingOptions(
    new Command('distill')
      .description('Train a student on the distribution of a teacher.')
      .requiredOption('--student <folder>', 'checkpoint to start from')
      .addOption(new Option('--teacher <folder>', 'checkpoint to learn from').conflicts('traces'))
      .addOption(new Option('--traces <folder>', 'learn from what `quasar traces make` wrote').conflicts('data'))
      .option('--terms <list>', `what is added up, such as forward=0.9,ce=0.1; of ${TERMS.join(', ')}`, termList)
      .option('--temperature <number>', 'of both distributions; distances are multiplied by its square', positive)
      .option('--top-k <number>', "the teacher's best tokens and one bucket for the rest", wholeNumber(1, 1024))
      .option('--hidden <pairs>', 'layers of student and teacher whose states shall agree, such as 2:2,5:5', layerPairs)
      .option('--hidden-weight <number>', 'factor on the loss of --hidden', positive, DEFAULT_HIDDEN_WEIGHT)
      .option('--on-policy <share>', 'share of batches in which the student learns from its own words', positive)
      .option(
        '--untaught-data',
        'learn --data beside the world by cross-entropy alone: the teacher knows nothing of it',
      ),
  ).action(async (options: DistillOptions, command: Command) => {
    const stages = await import('@quasar/train');
    const { untaughtData, teacher, traces } = options;
    const context = contextOf(command);
    const own = {
      ...{ ...(await stageOptions(context, options)), untaughtData, objective: objectiveOf(options) },
      student: fromCaller(options.student),
      teacher: teacher === undefined ? undefined : fromCaller(teacher),
      traces: traces === undefined ? undefined : fromCaller(traces),
    };
    await runTraining(context, options, (hooks) => stages.distil({ ...own, ...hooks }));
  });
}

function objectiveOf({ terms, temperature, topK, onPolicy, hidden, hiddenWeight }: DistillOptions): Objective {
  return {
    ...(terms === undefined ? {} : { terms: termsOf(terms) }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(topK === undefined ? {} : { topK }),
    ...(hidden === undefined ? {} : { hidden: { layers: pairsOf(hidden), weight: hiddenWeight } }),
    ...(onPolicy === undefined ? {} : { onPolicy: { share: onPolicy } }),
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('Expected a number above 0.');
}

/** `2:2,5:5`; stays text, as a run remembers it. */
function layerPairs(text: string): string {
  if (/^\d+:\d+(,\d+:\d+)*$/.test(text)) return text;
  throw new InvalidArgumentError('Expected pairs of layers such as 2:2,5:5, of the student and of the teacher.');
}

function pairsOf(text: string): [student: number, teacher: number][] {
  return text.split(',').map((pair) => pair.split(':').map(Number) as [number, number]);
}

/** `forward=0.9,ce=0.1`; stays text, as a run remembers it. */
function termList(text: string): string {
  const isGood = Object.entries(termsOf(text)).every(([name, factor]) => TERMS.includes(name) && factor > 0);
  if (isGood) return text;
  throw new InvalidArgumentError(`Expected terms such as forward=0.9,ce=0.1, of ${TERMS.join(', ')}.`);
}

function termsOf(text: string): Record<string, number> {
  return Object.fromEntries(
    text.split(',').map((part) => {
      const [name = '', factor, ...rest] = part.split('=');
      return [name.trim(), rest.length === 0 ? Number(factor) : Number.NaN];
    }),
  );
}
