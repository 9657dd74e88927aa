/** @file Documents that must follow the code: generated pages, error codes, links between pages. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { REPOSITORY } from './support/paths.ts';
import { run } from './support/run.ts';

const read = (path: string) => readFileSync(join(REPOSITORY, path), 'utf8');

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(REPOSITORY, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ending) && !path.includes('node_modules'))
    .map((path) => join(folder, path));
}

const sources = readdirSync(join(REPOSITORY, 'packages'))
  .flatMap((name) => filesBelow(`packages/${name}/src`, '.ts'))
  .filter((path) => !path.endsWith('.test.ts'));

it('generated pages are up to date', async () => {
  const { code, stderr } = await run(process.execPath, ['scripts/docs.js', '--check']);
  expect(stderr).toBe('');
  expect(code).toBe(0);
});

it('every error code in the sources is in docs/errors.md', () => {
  const documented = new Set([...read('docs/errors.md').matchAll(/^\| `([a-z_]+\.[a-z_0-9]+)`/gm)].map((m) => m[1]));
  const used = sources.flatMap((path) =>
    [...read(path).matchAll(/(?:new QuasarError\(\s*|\bcode: )'([a-z_]+\.[a-z_0-9]+)'/g)].map((m) => `${m[1]} ${path}`),
  );
  expect(used.length).toBeGreaterThan(0);
  expect(used.filter((line) => !documented.has(line.split(' ')[0]))).toEqual([]);
});

it('every relative link in the documentation leads to a file', () => {
  const pages = ['README.md', ...filesBelow('docs', '.md')];
  const broken = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)]
      .map((match) => match[1] as string)
      .filter((target) => !existsSync(join(REPOSITORY, dirname(page), target)))
      .map((target) => `${page} -> ${target}`),
  );
  expect(broken).toEqual([]);
});
