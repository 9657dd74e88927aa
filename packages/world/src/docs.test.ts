/** @file Keeps the examples in docs/world.md equal to what the code makes; UPDATE_DOCS=1 writes them. */
import { readFileSync } from 'node:fs';
import { writeFileAtomic } from '@quasar/base';
import { expect, test } from 'vitest';
import { generateItem } from './seed.ts';
import { ALL_TASKS } from './tasks/index.ts';

const path = new URL('../../../docs/world.md', import.meta.url).pathname;
const [begin, end] = ['<!-- examples: written by packages/world/src/docs.test.ts -->\n', '<!-- end of examples -->'];

function examples(): string {
  const sections = ALL_TASKS.map((task) => {
    const items = Array.from({ length: task.levels }, (_, level) => {
      const { messages, answer } = generateItem('docs', 'train', { tasks: [task.name], level });
      const turns = [...messages, { role: 'assistant', content: `${answer}   <- asked for` }];
      return turns
        .map(({ role, content }) => `${level} ${role.padEnd(9)} ${content.replaceAll('\n', `\n${' '.repeat(12)}`)}`)
        .join('\n');
    });
    return `### \`${task.name}\`\n\n\`\`\`text\n${items.join('\n')}\n\`\`\`\n`;
  });
  return `\n${sections.join('\n')}\n`;
}

test('docs/world.md shows the items that the code makes', () => {
  const text = readFileSync(path, 'utf8');
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
  const current = text.slice(0, from) + examples() + text.slice(to);
  if (process.env.UPDATE_DOCS === '1') writeFileAtomic(path, current);
  else expect(text, 'run UPDATE_DOCS=1 npx vitest run packages/world').toBe(current);
});
