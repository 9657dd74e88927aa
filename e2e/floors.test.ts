/** @file The floor rule: a package imports only packages on lower floors, in source files and in package.json. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { REPOSITORY } from './support/paths.ts';

const FLOORS: Record<string, number> = {
  base: 0,
  tensor: 1,
  world: 1,
  store: 1,
  hub: 1,
  chain: 1,
  model: 2,
  infer: 3,
  train: 4,
  evals: 4,
  subnet: 5,
  server: 6,
  cli: 7,
};

const packages = readdirSync(join(REPOSITORY, 'packages')).sort();
const floorOf = (name: string) => FLOORS[name] ?? Number.NaN;

function sourceFiles(name: string): string[] {
  return readdirSync(join(REPOSITORY, 'packages', name, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(ts|js)$/.test(path))
    .map((path) => join('packages', name, 'src', path));
}

/** Names of our packages that a text imports: `from '@quasar/x'`, `import('@quasar/x')`, `import '@quasar/x'`. */
function importedPackages(text: string): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*['"]@quasar\/([\w-]+)/g)].map((match) => match[1] as string);
}

it('knows the floor of every package', () => {
  expect(packages).toEqual(Object.keys(FLOORS).sort());
});

it('sees every form of import', () => {
  const text =
    "import a from '@quasar/a';\nexport * from \"@quasar/b\"; await import('@quasar/c'); import '@quasar/d';";
  expect(importedPackages(text)).toEqual(['a', 'b', 'c', 'd']);
});

it.each(packages)('%s imports only lower floors', (name) => {
  const wrong = sourceFiles(name).flatMap((path) =>
    importedPackages(readFileSync(join(REPOSITORY, path), 'utf8'))
      .filter((imported) => !(floorOf(imported) < floorOf(name)))
      .map((imported) => `${path} imports ${imported}`),
  );
  expect(wrong).toEqual([]);
});

it.each(packages)('%s reaches into no other package by path', (name) => {
  const wrong = sourceFiles(name).filter((path) => {
    const up = '../'.repeat(path.split('/').length - 3);
    return new RegExp(`from '${up.replaceAll('.', '\\.')}\\.\\./`).test(readFileSync(join(REPOSITORY, path), 'utf8'));
  });
  expect(wrong).toEqual([]);
});

it.each(packages)('%s declares what it imports, and nothing above it', (name) => {
  const manifest = JSON.parse(readFileSync(join(REPOSITORY, 'packages', name, 'package.json'), 'utf8'));
  const declared = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
    .filter((dependency) => dependency.startsWith('@quasar/'))
    .map((dependency) => dependency.slice('@quasar/'.length));
  expect(declared.filter((dependency) => !(floorOf(dependency) < floorOf(name)))).toEqual([]);
  const imported = sourceFiles(name).flatMap((path) => importedPackages(readFileSync(join(REPOSITORY, path), 'utf8')));
  expect([...new Set(imported)].filter((dependency) => !declared.includes(dependency))).toEqual([]);
});
