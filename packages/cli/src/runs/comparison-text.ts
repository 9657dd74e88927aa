/** @file Runs beside each other, for people. */
import type { Comparison } from '@quasar/train';
import { table } from '../ui/table.ts';

export function comparisonText(
  { runs, metric, settings, atSteps, atTokens, final }: Comparison,
  html: string | null,
  duration: (ms: number) => string,
): string {
  const perRun = <Row>(values: (row: Row) => readonly string[]) =>
    runs.map((title, i) => ({ title, isNumeric: true as const, value: (row: Row) => values(row)[i] ?? '' }));
  const sets = [...new Set(final.flatMap(({ heldOut }) => Object.keys(heldOut)))];
  const figure = (value: number | null | undefined, digits = 4) => value?.toFixed(digits) ?? '';
  const ends: { title: string; values: string[] }[] = [
    { title: 'state', values: final.map(({ state }) => state) },
    { title: 'steps', values: final.map(({ step }) => String(step)) },
    { title: 'tokens', values: final.map(({ tokens }) => tokens.toLocaleString('en-US')) },
    { title: `loss${metric === null ? '' : ` (${metric}, smoothed)`}`, values: final.map(({ loss }) => figure(loss)) },
    ...sets.flatMap((set) => [
      { title: `held-out ${set}`, values: final.map(({ heldOut }) => figure(heldOut[set]?.last)) },
      { title: `best held-out ${set}`, values: final.map(({ heldOut }) => figure(heldOut[set]?.best)) },
    ]),
    { title: 'tokens/s', values: final.map(({ tokensPerSecond }) => figure(tokensPerSecond, 0)) },
    { title: 'time', values: final.map(({ elapsedMs }) => duration(elapsedMs)) },
  ];
  const losses = (title: string, rows: { at: number; losses: number[] }[]) =>
    rows.length === 0
      ? []
      : [
          '',
          table(
            [
              { title, isNumeric: true, value: ({ at }) => Math.round(at).toLocaleString('en-US') },
              ...perRun<{ at: number; losses: number[] }>((row) => row.losses.map((loss) => figure(loss))),
            ],
            rows,
          ),
        ];
  return [
    table([{ title: '', value: ({ title }) => title }, ...perRun<(typeof ends)[number]>(({ values }) => values)], ends),
    ...losses(
      'at step',
      atSteps.map(({ step, losses: all }) => ({ at: step, losses: all })),
    ),
    ...losses(
      'at tokens',
      atTokens.map(({ tokens, losses: all }) => ({ at: tokens, losses: all })),
    ),
    '',
    settings.length === 0
      ? 'no settings differ'
      : table(
          [
            { title: 'setting', value: ({ name }) => name },
            ...perRun<(typeof settings)[number]>(({ values }) => values.map((value) => String(value ?? ''))),
          ],
          settings,
        ),
    ...(html === null ? [] : ['', `plots: ${html}`]),
  ].join('\n');
}
