/** @file The data files of a data set on the hub: which ones, of which revision, and their download. */
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import type { HubClient, HubFile } from '@quasar/hub';
import { type DataFile, formatOf } from './files.ts';

export interface Dataset {
  /** 40 hexadecimal digits. */
  revision: string;
  /** Chosen files in order, as far as the limit allows. */
  files: HubFile[];
  /** Chosen files beyond the limit. */
  leftOut: HubFile[];
}

/**
 * Resolves the revision and chooses files: those that `glob` matches, or without one the train split. Nothing is downloaded.
 * @throws QuasarError data.no_dataset, data.no_text, data.too_large; those of the hub client
 */
export async function chooseDatasetFiles(
  hub: HubClient,
  spec: { repo: string; revision: string | null; glob: string | null },
  maxBytes: number,
): Promise<Dataset> {
  const name = `datasets/${spec.repo}`;
  const shown = `--data hf:${spec.repo}`;
  const revision = await hub.resolveRevision(name, spec.revision ?? 'main');
  const choose = (paths: readonly string[]) => (spec.glob === null ? trainFiles(paths) : matching(paths, spec.glob));
  const files = revision === null ? null : await hub.listDataset(name, revision, choose);
  if (revision === null || files === null) {
    throw new QuasarError('data.no_dataset', `${shown}: no such data set or revision, or it is private`, {
      hint: 'check the name on the hub; private and gated data sets need a token in HF_TOKEN',
    });
  }
  if (files.length === 0) {
    throw new QuasarError(
      'data.no_text',
      `${shown}: no file ${spec.glob === null ? 'of text' : `matches ${spec.glob}`}`,
      {
        hint: 'name the files with a pattern: hf:owner/name:data/*.parquet',
      },
    );
  }
  let [count, totalBytes] = [0, files[0]?.sizeBytes ?? 0];
  while (count < files.length && totalBytes <= maxBytes) totalBytes += files[++count]?.sizeBytes ?? 0;
  if (count === 0) {
    const message = `${shown}: ${files[0]?.path} has ${files[0]?.sizeBytes} bytes, at most ${maxBytes} are downloaded`;
    throw new QuasarError('data.too_large', message, { hint: 'raise --data-limit, or choose smaller files' });
  }
  return { revision, files: files.slice(0, count), leftOut: files.slice(count) };
}

/** One file into the hub client's cache. */
export async function downloadDatasetFile(
  hub: HubClient,
  repo: string,
  revision: string,
  file: HubFile,
  signal: AbortSignal | undefined,
): Promise<DataFile> {
  const options = { files: [file], maxTotalBytes: file.sizeBytes, signal };
  const folder = await hub.download(`datasets/${repo}`, revision, options);
  const format = formatOf(file.path) ?? { format: 'jsonl', isGzip: file.path.endsWith('.gz') };
  return { path: join(folder, file.path), ...format, sizeBytes: file.sizeBytes, sha256: file.sha256 };
}

/**
 * Data files whose path has the word `train`; else those that do not name another split. Of one format: conversions of the same rows
 * often lie side by side.
 */
export function trainFiles(paths: readonly string[]): string[] {
  // A README is about the data, and so is LICENSE.txt.
  const data = paths.filter((path) => formatOf(path) !== null && !/(^|\/)(readme|license|notice)[^/]*$/i.test(path));
  const named = (words: string) => data.filter((path) => new RegExp(`(^|[^a-z])(${words})([^a-z]|$)`, 'i').test(path));
  const train = named('train');
  const others = new Set(named('test|validation|valid|val|dev|eval'));
  const chosen = train.length > 0 ? train : data.filter((path) => !others.has(path));
  for (const format of ['parquet', 'jsonl', 'text']) {
    const same = chosen.filter((path) => formatOf(path)?.format === format);
    if (same.length > 0) return same.sort();
  }
  return [];
}

/** `*` and `?` within a folder, `**` across folders. Names that `formatOf` does not know are read as JSONL: .json and .json.gz. */
export function matching(paths: readonly string[], glob: string): string[] {
  // `a/**/b` also means a/b.
  const parts = glob.match(/\*\*\/|\*\*|./gsu) ?? [];
  const isData = (path: string) => formatOf(path) !== null || /\.json(\.gz)?$/.test(path);
  return paths.filter((path) => isData(path) && isMatch(path, parts)).sort();
}

/** Parts of the pattern one by one, with all places of the path that they can reach: no pattern takes long. */
function isMatch(path: string, parts: readonly string[]): boolean {
  let places = new Set([0]);
  for (const part of parts) {
    const next = new Set<number>();
    for (const place of places) {
      if (part === '**/') {
        next.add(place);
        for (let at = place; at < path.length; at++) if (path[at] === '/') next.add(at + 1);
      } else if (part === '**' || part === '*') {
        next.add(place);
        for (let at = place; at < path.length && !next.has(at + 1); at++) {
          if (part === '*' && path[at] === '/') break;
          next.add(at + 1);
        }
      } else if (place < path.length && (part === path[place] || (part === '?' && path[place] !== '/'))) {
        next.add(place + 1);
      }
    }
    places = next;
  }
  return places.has(path.length);
}
