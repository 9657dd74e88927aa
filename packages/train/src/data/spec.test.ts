/** @file The syntax of --data, and which files of a data set it means. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matching, trainFiles } from './hub-files.ts';
import { nameSpecs } from './locate.ts';
import { type DataSpec, formatSpec, parseData } from './spec.ts';

const sha = 'a1'.repeat(20);

it.each<[string, DataSpec]>([
  ['world', { kind: 'world', weight: 1 }],
  ['recall@0.25', { kind: 'recall', weight: 0.25 }],
  ['world@0.3', { kind: 'world', weight: 0.3 }],
  ['notes/a.txt', { kind: 'path', path: 'notes/a.txt', weight: 1 }],
  ['notes/a.txt@2', { kind: 'path', path: 'notes/a.txt', weight: 2 }],
  ['me@home/notes', { kind: 'path', path: 'me@home/notes', weight: 1 }],
  ['C:\\text@.5', { kind: 'path', path: 'C:\\text', weight: 0.5 }],
  ['hf:a/b', { kind: 'hub', repo: 'a/b', revision: null, glob: null, weight: 1 }],
  ['hf:a/b@0.5', { kind: 'hub', repo: 'a/b', revision: null, glob: null, weight: 0.5 }],
  ['hf:a/b@main', { kind: 'hub', repo: 'a/b', revision: 'main', glob: null, weight: 1 }],
  [`hf:a/b@${sha}:data/*.parquet@3`, { kind: 'hub', repo: 'a/b', revision: sha, glob: 'data/*.parquet', weight: 3 }],
  ['hf:a/b:x@y.jsonl', { kind: 'hub', repo: 'a/b', revision: null, glob: 'x@y.jsonl', weight: 1 }],
])('%s', (text, spec) => {
  expect(parseData([text])).toEqual([spec]);
  expect(parseData([formatSpec(spec)])).toEqual([spec]);
});

it.each(['', 'a@0', 'hf:', 'hf:name', 'hf:a/b/c', 'hf:a/b:', 'hf:a/b@:x', 'hf:a/..'])('refuses %j', (text) => {
  expect(() => parseData([text])).toThrow(expect.objectContaining({ code: 'data.bad_spec' }));
});

it('property: any path comes back', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.constantFrom(1, 0.25, 3), (path, weight) => {
      fc.pre(path !== 'world' && path !== 'recall' && !path.startsWith('hf:'));
      const spec: DataSpec = { kind: 'path', path, weight };
      expect(parseData([formatSpec(spec)])).toEqual([spec]);
    }),
  );
});

it('names: text for the only corpus, else those of the files', () => {
  const names = (...specs: string[]) => nameSpecs(parseData(specs));
  expect(names('a/book.txt', 'world', 'recall')).toEqual(['text', 'world', 'recall']);
  expect(names('a/book.txt', 'b/book.md', 'hf:x/y', 'world.txt')).toEqual(['book', 'book-2', 'x/y', 'world-2']);
});

describe('files of a data set', () => {
  it.each<[string, string[], string[]]>([
    ['the train split', ['data/train-0.parquet', 'data/test-0.parquet', 'README.md'], ['data/train-0.parquet']],
    ['a folder of it', ['train/b.jsonl', 'train/a.jsonl', 'validation/a.jsonl'], ['train/a.jsonl', 'train/b.jsonl']],
    ['everything but other splits', ['a.txt', 'dev.txt', 'eval/x.txt', 'contest.txt'], ['a.txt', 'contest.txt']],
    ['Parquet before its source', ['train.jsonl', 'train.parquet', 'train.txt'], ['train.parquet']],
    ['no cards, no licences', ['README.md', 'docs/readme.txt', 'LICENSE.txt', 'x.md'], ['x.md']],
    ['nothing', ['picture.png', 'loader.py'], []],
  ])('%s', (_, paths, chosen) => {
    expect(trainFiles(paths)).toEqual(chosen);
  });

  const paths = ['a.jsonl', 'data/a.jsonl', 'data/deep/b.json.gz', 'data/c.csv', 'data/x+y.txt'];
  it.each<[string, string[]]>([
    ['*.jsonl', ['a.jsonl']],
    ['data/*.jsonl', ['data/a.jsonl']],
    ['**/*.jsonl', ['a.jsonl', 'data/a.jsonl']],
    ['data/**', ['data/a.jsonl', 'data/deep/b.json.gz', 'data/x+y.txt']],
    ['data/?.*', ['data/a.jsonl']],
    ['data/x+y.txt', ['data/x+y.txt']],
    ['.*', []],
  ])('%s', (glob, chosen) => {
    expect(matching(paths, glob)).toEqual(chosen);
  });

  it('a pattern of many stars is quick', () => {
    const began = performance.now();
    matching([`${'a'.repeat(300)}.txt`], `${'*a'.repeat(12)}*b.txt`);
    expect(performance.now() - began).toBeLessThan(500);
  });
});
