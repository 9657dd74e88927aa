/**
 * @file What `--data` says: where to read, and how much of the training it gets.
 *
 *     PATH                              a file, or a folder of files
 *     hf:owner/name[@revision][:glob]   files of a data set on the Hugging Face hub
 *     world                             conversations of the procedural world
 *     recall                            documents as long as a row that ask at their end for what was said before, among the other data
 *
 * Each may end in `@weight`, its share of the tokens beside the others; without it, 1.
 */
import { QuasarError } from '@quasar/base';
import { isRepoName } from '@quasar/hub';

export type DataSpec = { weight: number } & (
  | { kind: 'world' }
  | { kind: 'recall' }
  | { kind: 'path'; path: string }
  | { kind: 'hub'; repo: string; revision: string | null; glob: string | null }
);

/** Text that lies somewhere; the rest is made by code. */
export type CorpusSpec = Extract<DataSpec, { kind: 'path' | 'hub' }>;

export function isCorpus(spec: DataSpec): spec is CorpusSpec {
  return spec.kind === 'path' || spec.kind === 'hub';
}

/** `@` and a number that no revision looks like: a commit has forty digits. */
const WEIGHT = /^(.+)@(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})$/;

/** @throws QuasarError data.bad_spec */
export function parseData(texts: readonly string[]): DataSpec[] {
  return texts.map(parseSpec);
}

function parseSpec(text: string): DataSpec {
  const [, place = text, weightText = '1'] = WEIGHT.exec(text) ?? [];
  const weight = Number(weightText);
  const bad = (what: string, hint: string) => new QuasarError('data.bad_spec', `--data ${text}: ${what}`, { hint });
  if (weight <= 0) throw bad('the weight is 0', 'give a weight above 0, or leave this data out');
  if (place === '') throw bad('names nothing', 'give a path, hf:owner/name, world or recall');
  if (place === 'world' || place === 'recall') return { kind: place, weight };
  if (!place.startsWith('hf:')) return { kind: 'path', path: place, weight };
  const [, repo = '', revision = null, glob = null] = /^hf:([^@:]*)(?:@([^:]*))?(?::(.*))?$/s.exec(place) ?? [];
  if (!isRepoName(repo) || revision === '' || glob === '') {
    throw bad(
      'is no data set of the hub',
      'want hf:owner/name[@revision][:glob], for example hf:owner/name:data/*.parquet',
    );
  }
  return { kind: 'hub', repo, revision, glob, weight };
}

/** The text that `parseData` reads as this. */
export function formatSpec(spec: DataSpec): string {
  const weight = spec.weight === 1 ? '' : `@${spec.weight}`;
  if (spec.kind === 'world' || spec.kind === 'recall') return `${spec.kind}${weight}`;
  if (spec.kind === 'path') {
    // A path that itself ends in @1 needs the weight to be said.
    return spec.path + (weight === '' && WEIGHT.test(spec.path) ? '@1' : weight);
  }
  const revision = spec.revision === null ? '' : `@${spec.revision}`;
  return `hf:${spec.repo}${revision}${spec.glob === null ? '' : `:${spec.glob}`}${weight}`;
}
