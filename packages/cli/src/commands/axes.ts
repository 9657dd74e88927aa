/** @file `quasar axes`: what a composite measures, what its questions look like, and how a model does on them. */
import type { ScoredAxes, SubnetConfig } from '@quasar/subnet';
import { Command, Option } from 'commander';
import { baseOption, teacherOption } from '../assets.ts';
import { contextOf, fromCaller } from '../context.ts';
import { wholeNumber } from '../options.ts';
import { listenForStop } from '../service.ts';
import { startProgress } from '../ui/progress.ts';
import { type Column, table } from '../ui/table.ts';

interface ProfileFlags {
  profile: 'local' | 'upstream';
}

const profileOption = () =>
  new Option('--profile <name>', 'local: those of `quasar up`; upstream: the published ones')
    .choices(['local', 'upstream'])
    .default('local');

const KEY_VARIABLE = 'QUASAR_JUDGE_KEY';

export function axes(): Command {
  const list = new Command('list')
    .description('Every axis: weight, questions, limits, what it measures.')
    .addOption(profileOption())
    .action(listAxes);
  const items = new Command('items')
    .description('Questions as a round would ask them, with a right answer each.')
    .argument('[axis...]', 'axes to show (default: all that ask something)')
    .addOption(profileOption())
    .option('--seed <text>', 'in place of the hash of the block', 'example')
    .option('--count <n>', 'questions per axis', wholeNumber(1), 2)
    .option('--practice', 'from the training split instead, as JSONL of conversations for --data')
    .action(showItems);
  const score = new Command('score')
    .description('Ask a model, the base student and the teacher the questions of a round, and show the axes.')
    .argument('<model>', 'folder of a checkpoint')
    .addOption(profileOption())
    .addOption(teacherOption())
    .addOption(baseOption())
    .option('--seed <text>', 'in place of the hash of the block', 'home')
    .option(
      '--judge <url>',
      `OpenAI-compatible endpoint of an LLM judge for conversations; its key from ${KEY_VARIABLE}`,
    )
    .option('--judge-model <name>', 'model of the judge', 'default')
    .action(scoreModel);
  return new Command('axes')
    .description('The axes of the composite.')
    .addCommand(list)
    .addCommand(items)
    .addCommand(score);
}

async function rulesOf({ profile }: ProfileFlags): Promise<SubnetConfig> {
  const { LOCAL, UPSTREAM } = await import('@quasar/subnet');
  return profile === 'local' ? LOCAL : UPSTREAM;
}

async function listAxes(options: ProfileFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const { axes } = await rulesOf(options);
  const { AXES } = await import('@quasar/evals');
  const rows = axes.specs.map(({ name, weight, minValid, questions }) => ({
    ...{ axis: name, weight, minValid, questions: questions?.items ?? null },
    ...{ maxNewTokens: questions?.maxNewTokens ?? null, targetTokens: questions?.targetTokens ?? null },
    measures: AXES[name].measures,
  }));
  const columns: Column<(typeof rows)[number]>[] = [
    { title: 'axis', value: ({ axis }) => axis },
    { title: 'weight', value: ({ weight }) => weight },
    { title: 'questions', value: ({ questions }) => questions ?? '', isNumeric: true },
    { title: 'reply tokens', value: ({ maxNewTokens }) => maxNewTokens ?? '', isNumeric: true },
    { title: 'measures', value: ({ measures }) => measures },
  ];
  context.result({ axes: rows }, () => table(columns, rows));
}

async function showItems(
  names: string[],
  options: ProfileFlags & { seed: string; count: number; practice?: true },
  command: Command,
): Promise<void> {
  const context = contextOf(command);
  const { axes } = await rulesOf(options);
  const { axisQuestions } = await import('@quasar/subnet');
  const { axisItems, isAxisName, practiceItems } = await import('@quasar/evals');
  const { itemMessages } = await import('@quasar/world');
  const { QuasarError } = await import('@quasar/base');
  const asked = axisQuestions(axes);
  const unknown = names.find((name) => !isAxisName(name) || !asked.some((one) => one.name === name));
  if (unknown !== undefined) {
    throw new QuasarError('usage.unknown_axis', `"${unknown}" is no axis that asks something under these rules`, {
      hint: `one of ${asked.map(({ name }) => name).join(', ')}`,
    });
  }
  const wanted = asked.filter(({ name }) => names.length === 0 || names.includes(name));
  const counted = wanted.map((one) => ({ ...one, items: options.count }));
  if (options.practice) {
    const made = counted.flatMap((one) => practiceItems(options.seed, one, axes.wording));
    const conversations = made.map((item) => ({ messages: itemMessages(item) }));
    return context.result({ conversations }, () => conversations.map((one) => JSON.stringify(one)).join('\n'));
  }
  const items = axisItems(options.seed, counted, axes.wording);
  context.result({ items }, () =>
    items
      .map(({ axis, item }) => {
        const turns = item.messages.map(({ role, content }) => `${role}: ${content}`);
        return `== ${axis} (${item.task}, level ${item.level})\n${turns.join('\n')}\nright: ${item.answer}`;
      })
      .join('\n\n'),
  );
}

interface ScoreFlags extends ProfileFlags {
  teacher: string;
  base: string;
  seed: string;
  judge?: string;
  judgeModel: string;
}

async function scoreModel(model: string, options: ScoreFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const config = await rulesOf(options);
  const { scoreAxes } = await import('@quasar/subnet');
  const { LlmJudge } = await import('@quasar/evals');
  const { judge: url, judgeModel } = options;
  const judge =
    url === undefined ? undefined : new LlmJudge({ url, model: judgeModel, key: process.env[KEY_VARIABLE] });
  const stopping = listenForStop();
  const progress = startProgress(context, 'asking');
  try {
    const scored = await scoreAxes({
      directory: fromCaller(model),
      teacherDirectory: fromCaller(options.teacher),
      baseDirectory: fromCaller(options.base),
      ...{ config, seed: options.seed, judge, signal: stopping.signal },
      onProgress: (who, done, total) => progress.update(done, total, who),
    });
    progress.end();
    context.result(scored, () => describe(scored, config));
  } finally {
    stopping.dispose();
  }
}

function describe({ model, base, teacher, broken, judge }: ScoredAxes, { axes }: SubnetConfig): string {
  const shown = (value: number | undefined) => value?.toFixed(3) ?? '';
  const rows = axes.specs
    .filter(({ name }) => name in model.axes)
    .map(({ name, weight }) => ({
      ...{ name, weight, n: model.axes[name]!.n, note: broken.includes(name) ? 'broken, left out' : '' },
      ...{
        own: shown(model.axes[name]?.value),
        base: shown(base.axes[name]?.value),
        teacher: shown(teacher[name]?.value),
      },
    }));
  const columns: Column<(typeof rows)[number]>[] = [
    { title: 'axis', value: ({ name }) => name },
    { title: 'weight', value: ({ weight }) => weight },
    { title: 'n', value: ({ n }) => n },
    { title: 'model', value: ({ own }) => own, isNumeric: true },
    { title: 'base', value: (row) => row.base, isNumeric: true },
    { title: 'teacher', value: (row) => row.teacher, isNumeric: true },
    { title: '', value: ({ note }) => note },
  ];
  const worst = model.worstAxis === null ? 'none' : `${model.worst.toFixed(3)} (${model.worstAxis})`;
  const sums = `quality ${model.quality.toFixed(3)}, base ${base.quality.toFixed(3)}; worst axis ${worst}`;
  const said =
    judge === null ? [] : [judge.broken === null ? 'the judge counts' : `the judge does not count: ${judge.broken}`];
  return [table(columns, rows), '', sums, ...said].join('\n');
}
