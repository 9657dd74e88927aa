/** @file `quasar distill`: a student learns the distribution of a teacher. */
import { Command } from 'commander';
import { contextOf, fromCaller } from '../context.ts';
import { runTraining, stageOptions, type TrainingOptions, withTrainingOptions } from '../training-run.ts';

export function distill(): Command {
  return withTrainingOptions(
    new Command('distill')
      .description('Train a student on the distribution of a teacher.')
      .requiredOption('--student <folder>', 'checkpoint to start from')
      .requiredOption('--teacher <folder>', 'checkpoint to learn from'),
  ).action(async (options: TrainingOptions & { student: string; teacher: string }, command: Command) => {
    const stages = await import('@quasar/train');
    const student = fromCaller(options.student);
    const teacher = fromCaller(options.teacher);
    const context = contextOf(command);
    const given = await stageOptions(context, options);
    await runTraining(context, options, (hooks) => stages.distil({ ...given, ...hooks, student, teacher }));
  });
}
