/** @file The corpus as tables for people: attack, what it tries, what it ends as. */
import type { AttackGroup } from './attack.ts';

export function corpusTables(corpus: readonly AttackGroup[]): string {
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
  return [`${total} submissions, each sent through a real hub and judged by the rules of this page.`, ...sections].join(
    '\n',
  );
}

/** Attacks have names that would break a table, a page or a terminal. */
function cell(text: string): string {
  return text
    .replace(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .replace(/[\\|<>_*`[\]]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
