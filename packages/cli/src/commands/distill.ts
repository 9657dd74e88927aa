/** @file `quasar distill`: a student learns the distribution of a teacher. */
import { Command } from 'commander';
import { contextOf, fromCaller } from '../context.ts';
import { runTraining, stageOptions, type TrainingOptions, withTrainingOptions } from '../training-run.ts';

interface DistillOptions extends TrainingOptions {
  student: string;
  teacher: string;
  untaughtData?: boolean;
}

export function distill(): Command {
  return withTrainingOptions(
    new Command('distill')
      .description('Train a student on the distribution of a teacher.')
      .requiredOption('--student <folder>', 'checkpoint to start from')
      .requiredOption('--teacher <folder>', 'checkpoint to learn from')
      .option(
        '--untaught-data',
        'learn --data beside the world by cross-entropy alone: the teacher knows nothing of it',
      ),
  ).action(async (options: DistillOptions, command: Command) => {
    const stages = await import('@quasar/train');
    const student = fromCaller(options.student);
    const teacher = fromCaller(options.teacher);
    const context = contextOf(command);
    const given = await stageOptions(context, options);
    const { untaughtData } = options;
    await runTraining(context, options, (hooks) =>
      stages.distil({ ...given, ...hooks, student, teacher, untaughtData }),
    );
  });
}
