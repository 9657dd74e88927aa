/**
 * @file What `--data` says: where to read, and how much of the training it gets.
 *
 *     PATH                              a file, or a folder of files
 *     hf:owner/name[@revision][:glob]   files of a data set on the Hugging Face hub
 *     world                             conversations of the procedural world
 *
 * Each may end in `@weight`, its share of the tokens beside the others; without it, 1.
 */
import { QuasarError } from '@quasar/base';
import { isRepoName } from '@quasar/hub';

export type DataSpec = { weight: number } & (
  | { kind: 'world' }
  | { kind: 'path'; path: string }
  | { kind: 'hub'; repo: string; revision: string | null; glob: string | null }
);

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
  if (place === '') throw bad('names nothing', 'give a path, hf:owner/name or world');
  if (place === 'world') return { kind: 'world', weight };
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
  if (spec.kind === 'world') return `world${weight}`;
  if (spec.kind === 'path') {
    // A path that itself ends in @1 needs the weight to be said.
    return spec.path + (weight === '' && WEIGHT.test(spec.path) ? '@1' : weight);
  }
  const revision = spec.revision === null ? '' : `@${spec.revision}`;
  return `hf:${spec.repo}${revision}${spec.glob === null ? '' : `:${spec.glob}`}${weight}`;
}
