import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const tour = readFileSync(join(root, 'docs/tour.md'), 'utf8');

describe('docs/tour.md', () => {
  const stops = [...tour.matchAll(/`((?:packages|apps)\/[^`]+)`(?:, `(\w+)`)?/g)].map(([, file, name]) => ({
    file: file as string,
    name,
  }));

  it('has ten stops', () => {
    expect(tour.match(/^\*\*\d+\. /gm)).toHaveLength(10);
    expect(stops.length).toBeGreaterThanOrEqual(10);
  });

  it.each(stops)('$file $name', ({ file, name }) => {
    const path = join(root, file);
    expect(existsSync(path), `${file} is missing`).toBe(true);
    if (name) expect(readFileSync(path, 'utf8')).toMatch(new RegExp(`\\b${name}\\s*(=|\\()`));
  });
});
