/** @file The files that a `--data` means, on disk or on the hub, in bundles that share a shard. */
import { basename, extname } from 'node:path';
import { QuasarError } from '@quasar/base';
import type { HubClient } from '@quasar/hub';
import { type DataFile, listFiles } from './files.ts';
import { chooseDatasetFiles, downloadDatasetFile } from './hub-files.ts';
import { type CorpusSpec, type DataSpec, formatSpec, isCorpus } from './spec.ts';

export interface LocatedFile {
  label: string;
  sizeBytes: number;
  /** On disk after it. */
  obtain(signal: AbortSignal | undefined): Promise<DataFile>;
}

export interface Located {
  /** With the revision that it stands for now. */
  spec: string;
  /** How many bytes of a plain text are a passage. */
  passageBytes: number;
  bundles: LocatedFile[][];
  /** Files of a data set beyond the limit of bytes. */
  leftOut: { files: number; sizeBytes: number };
}

export interface LocateOptions {
  hub?: (() => HubClient) | undefined;
  /** Bytes that are downloaded of one data set at most. Default 2 GiB. */
  maxDownloadBytes?: number | undefined;
}

export const DEFAULT_MAX_DOWNLOAD_BYTES = 2 * 2 ** 30;

/** Small files share a shard, so that ten thousand notes are not ten thousand folders. */
const BUNDLE_BYTES = 16 * 2 ** 20;

/** Enough for a page of context in a held-out passage; smaller only where a corpus would have too few of them. */
const PASSAGE_BYTES = { least: 64, most: 4096 };
const PASSAGES = 32;

/** @throws QuasarError data.unreadable, data.no_text, data.no_dataset, data.too_large; those of the hub client */
export async function locate(spec: CorpusSpec, options: LocateOptions): Promise<Located> {
  if (spec.kind === 'path') {
    const files = listFiles(spec.path).map(
      (file): LocatedFile => ({ label: file.path, sizeBytes: file.sizeBytes, obtain: async () => file }),
    );
    return { spec: formatSpec(spec), ...bundled(files), leftOut: { files: 0, sizeBytes: 0 } };
  }
  if (options.hub === undefined) {
    throw new QuasarError('data.no_hub', `--data ${formatSpec(spec)}: this command reads no data sets of the hub`, {
      hint: 'give files',
    });
  }
  const hub = options.hub();
  const chosen = await chooseDatasetFiles(hub, spec, options.maxDownloadBytes ?? DEFAULT_MAX_DOWNLOAD_BYTES);
  const { revision } = chosen;
  const files = chosen.files.map((file): LocatedFile => {
    const label = `hf:${spec.repo}:${file.path}`;
    return {
      label,
      sizeBytes: file.sizeBytes,
      obtain: async (signal) => ({ ...(await downloadDatasetFile(hub, spec.repo, revision, file, signal)), label }),
    };
  });
  const leftOut = { files: chosen.leftOut.length, sizeBytes: totalBytes(chosen.leftOut) };
  return { spec: formatSpec({ ...spec, revision }), ...bundled(files), leftOut };
}

function bundled(files: readonly LocatedFile[]): Pick<Located, 'bundles' | 'passageBytes'> {
  const bundles: LocatedFile[][] = [];
  let bytes = 0;
  for (const file of files) {
    bytes += file.sizeBytes;
    if (bundles.length === 0 || bytes > BUNDLE_BYTES) {
      bundles.push([]);
      bytes = file.sizeBytes;
    }
    (bundles.at(-1) as LocatedFile[]).push(file);
  }
  // A power of two, so that a corpus that grows a little keeps its shards.
  const wanted = 2 ** Math.floor(Math.log2(Math.max(1, totalBytes(files) / PASSAGES)));
  return { bundles, passageBytes: Math.min(PASSAGE_BYTES.most, Math.max(PASSAGE_BYTES.least, wanted)) };
}

export function totalBytes(files: readonly { sizeBytes: number }[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** A short name for each: of one corpus `text`, of several the names of the files. */
export function nameSpecs(specs: readonly DataSpec[]): string[] {
  const isOnly = specs.filter(isCorpus).length === 1;
  const taken = new Set<string>(['world', 'recall']);
  return specs.map((spec) => {
    if (!isCorpus(spec)) return spec.kind;
    const place = spec.kind === 'hub' ? spec.repo : basename(spec.path, extname(spec.path));
    const wanted = isOnly ? 'text' : place;
    let name = wanted;
    for (let i = 2; taken.has(name); i++) name = `${wanted}-${i}`;
    taken.add(name);
    return name;
  });
}
