/** @file Keeps the tables in docs/axes.md equal to the code; UPDATE_DOCS=1 writes them. */
import { readFileSync } from 'node:fs';
import { writeFileAtomic } from '@quasar/base';
import { AXES, AXIS_NAMES } from '@quasar/evals';
import { expect, it } from 'vitest';
import { type AxisConfig, LOCAL_AXES, UPSTREAM_AXES } from './axes.ts';

const path = new URL('../../../../docs/axes.md', import.meta.url).pathname;

function rungs({ questions }: AxisConfig): string {
  return questions ? `${questions.rungs[0]} to ${questions.rungs[1]}` : '';
}

function axesTable(): string {
  const rows = UPSTREAM_AXES.specs.map((spec, i) => {
    const local = LOCAL_AXES.specs[i]!;
    const { name, weight, minValid, questions } = spec;
    const { kind, measures } = AXES[name];
    const published = [questions?.items, rungs(spec), questions?.maxNewTokens, questions?.targetTokens];
    const cells = [`\`${name}\``, kind, weight, measures, minValid, ...published, local.questions?.items, rungs(local)];
    return `| ${cells.map((cell) => cell ?? '').join(' | ')} |`;
  });
  return [
    '| axis | kind | weight | what | min valid | questions | rungs | reply tokens | target | local: questions | rungs |',
    '|---|---|---|---|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function ladders(): string {
  const rows = AXIS_NAMES.filter((name) => AXES[name].ladder.length > 0).map((name) => {
    const ladder = AXES[name].ladder.map(({ task, level }, rung) => `${rung} \`${task}\` ${level}`);
    return `| \`${name}\` | ${ladder.join(' · ')} |`;
  });
  return ['| axis | rung, task and level |', '|---|---|', ...rows].join('\n');
}

it.each([
  ['table', axesTable],
  ['ladders', ladders],
])('docs/axes.md has the %s of the code', (name, made) => {
  const text = readFileSync(path, 'utf8');
  const begin = `<!-- ${name}: written by packages/subnet/src/rules/axes-docs.test.ts -->\n`;
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(`<!-- end of ${name} -->`)];
  const current = `${text.slice(0, from)}\n${made()}\n\n${text.slice(to)}`;
  if (process.env.UPDATE_DOCS === '1') writeFileAtomic(path, current);
  else expect(text, 'run UPDATE_DOCS=1 npx vitest run packages/subnet/src/rules/axes-docs.test.ts').toBe(current);
});

it('every axis of the catalogue has its place in both profiles', () => {
  expect(UPSTREAM_AXES.specs.map(({ name }) => name).sort()).toEqual([...AXIS_NAMES].sort());
  expect(LOCAL_AXES.specs.map(({ name, weight, minValid }) => ({ name, weight, minValid }))).toEqual(
    UPSTREAM_AXES.specs.map(({ name, weight, minValid }) => ({ name, weight, minValid })),
  );
});

it('the published weights add up: 2.08, and 1.58 without the relative ones', () => {
  const sum = (specs: readonly AxisConfig[]) => specs.reduce((total, { weight }) => total + weight, 0);
  expect(sum(UPSTREAM_AXES.specs)).toBeCloseTo(2.08, 10);
  expect(sum(UPSTREAM_AXES.specs.filter(({ name }) => AXES[name].kind !== 'relative'))).toBeCloseTo(1.58, 10);
});
