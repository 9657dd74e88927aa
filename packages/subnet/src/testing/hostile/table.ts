/** @file The corpus as tables for people: attack, what it tries, what it ends as. */
import type { AttackGroup, Label } from './attack.ts';

/** Of a whole run: `e2e/hostile/whole.slow.test.ts` writes them. */
export interface CorpusFigures {
  /** The most resident memory that the process had above what it began with: hub, chain and validator. */
  memoryGrowthBytes: number;
  maxMemoryGrowthBytes: number;
  /** The most of one process that computes, and from when on it is killed. */
  cageBytes: number;
  maxCageBytes: number;
  /** Downloaded files, and what the rules allow for so many submissions. */
  cacheBytes: number;
  maxCacheBytes: number;
  /** Evidence and event log. */
  logBytes: number;
  maxLogBytes: number;
}

/** @param figures null: nothing is said of memory and disk */
export function corpusTables(corpus: readonly AttackGroup[], figures: CorpusFigures | null): string {
  const total = corpus.reduce((sum, { attacks }) => sum + attacks.length, 0);
  const sections = corpus.flatMap(({ title, attacks }) => [
    '',
    `### ${title}`,
    '',
    '| attack | what it tries | label | code |',
    '|---|---|---|---|',
    ...attacks.map(
      ({ name, tries, label, code }) =>
        `| ${cell(name)} | ${cell(tries)} | ${label} | ${code === null ? '' : `\`${code}\``} |`,
    ),
  ]);
  const labels = [...new Set(corpus.flatMap(({ attacks }) => attacks.map(({ label }) => label)))];
  const count = (label: Label) => corpus.flatMap(({ attacks }) => attacks).filter((one) => one.label === label).length;
  return [
    `${total} submissions, each sent through a real hub and judged by the rules of this page: ${labels.map((label) => `${count(label)} ${label}`).join(', ')}.`,
    ...(figures ? ['', measured(figures)] : []),
    ...sections,
  ].join('\n');
}

function measured(figures: CorpusFigures): string {
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  const line = (what: string, most: number, cap: number) => `| ${what} | ${megabytes(most)} | ${megabytes(cap)} |`;
  return [
    'The most that all of them together took, while they went through:',
    '',
    '| what | most | cap |',
    '|---|---|---|',
    line(
      'memory of the validator, with a hub and a chain in its process',
      figures.memoryGrowthBytes,
      figures.maxMemoryGrowthBytes,
    ),
    line('memory of the cage, of which one attack takes all it can get', figures.cageBytes, figures.maxCageBytes),
    line('disk: downloaded files', figures.cacheBytes, figures.maxCacheBytes),
    line('disk: evidence and event log', figures.logBytes, figures.maxLogBytes),
  ].join('\n');
}

/** Attacks have names that would break a table, a page or a terminal. */
function cell(text: string): string {
  return text
    .replace(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .replace(/[\\|<>_*`[\]]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
