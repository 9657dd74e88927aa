/** @file `quasar drope`: a model that was trained with rotary positions goes on without them. */
import type { DropeResult } from '@quasar/train';
import { Command } from 'commander';
import { contextOf, fromCaller } from '../context.ts';
import { runTraining, stageOptions, type TrainingOptions, withTrainingOptions } from '../training-run.ts';
import { table } from '../ui/table.ts';

export function drope(): Command {
  return withTrainingOptions(
    new Command('drope')
      .description(
        'Drop the rotary positions of a model and recalibrate it at the length it was trained at (--tokens).',
      )
      .requiredOption('--model <folder>', 'checkpoint to start from'),
  ).action(async (options: TrainingOptions & { model: string }, command: Command) => {
    const stages = await import('@quasar/train');
    const model = fromCaller(options.model);
    const context = contextOf(command);
    const given = await stageOptions(context, options);
    await runTraining(context, options, (hooks) => stages.drope({ ...given, ...hooks, model }), beforeAndAfter);
  });
}

function beforeAndAfter({ before, evaluations }: DropeResult): string {
  const [dropped, after] = [evaluations[0]?.heldOut, evaluations.at(-1)?.heldOut];
  const rows = Object.entries(before).map(([set, { ce }]) => ({
    set,
    losses: [ce, dropped?.[set]?.ce, after?.[set]?.ce].map((loss) => loss ?? Number.NaN) as [number, number, number],
  }));
  type Row = (typeof rows)[number];
  const loss = (title: string, i: 0 | 1 | 2) => ({ title, value: (row: Row) => row.losses[i].toFixed(4) });
  return table(
    [
      { title: 'held-out', value: ({ set }: Row) => set },
      loss('with positions', 0),
      loss('dropped', 1),
      loss('recalibrated', 2),
      { title: 'change', value: ({ losses: [from, , to] }: Row) => `${(100 * (to / from - 1)).toFixed(2)} %` },
    ],
    rows,
  );
}
