/** @file From what `--data` says to sources: files found or fetched, tokenised, split, mixed. */
import { QuasarError, sha256Hex } from '@quasar/base';
import type { Tokenizer } from '@quasar/model';
import { type DocumentTable, splitCorpus } from './corpus.ts';
import { corpusSource } from './corpus-source.ts';
import type { DataFile } from './files.ts';
import { type LocateOptions, locate, nameSpecs, totalBytes } from './locate.ts';
import { recallSource } from './recall.ts';
import type { Shard } from './shards/shard.ts';
import { checkSignal, TokenCache } from './shards/token-cache.ts';
import { mixture, type Source, worldSource } from './source.ts';
import { type CorpusSpec, type DataSpec, formatSpec, isCorpus } from './spec.ts';
import { checkUsable, type SkippedData, skippedIn } from './usable.ts';

export interface OpenDataOptions extends LocateOptions {
  tokenizer: Tokenizer;
  /** Receives the shards: `<home>/cache/tokens`. */
  cacheDirectory: string;
  /** Predictions of a window: the tokens of a training row. */
  windowTokens: number;
  /** Member or column that holds the text. Default `text`. */
  textField?: string | undefined;
  /** Share of the documents that is never trained on. Default 0.02; 0 for none. */
  heldOutShare?: number | undefined;
  onProgress?: ((progress: DataProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** Changes how the documents of a part count, not which they are. */
  adapt?: (<S extends Source>(source: S, kind: DataSpec['kind']) => S) | undefined;
}

export interface DataProgress {
  /** What is read: as `DataPart.name`. */
  name: string;
  phase: 'download' | 'tokenise';
  doneBytes: number;
  totalBytes: number;
}

/** `bytesPerToken`: bytes of text per predicted token. Nats per token / (bytes per token · ln 2) are bits per byte. */
export type HeldOutSource = Source & { bytesPerToken: number };

/** One `--data` that is read from files. */
export interface DataPart {
  name: string;
  /** As given, with the revision that it stood for. */
  spec: string;
  files: number;
  sizeBytes: number;
  train: DocumentTable;
  heldOut: DocumentTable;
  skipped: SkippedData[];
}

export interface OpenedData {
  train: Source;
  /** By name; a corpus is called `text` when it is the only one. */
  heldOut: Record<string, HeldOutSource>;
  skipped: SkippedData[];
  parts: DataPart[];
  /** What reads the same again as `--data`: revisions of the hub are pinned. */
  specs: string[];
}

export const DEFAULT_HELD_OUT_SHARE = 0.02;

/**
 * Opens what the specs say; the weights are shares of the tokens. Documents of recall have the other data between needle and question.
 * @throws QuasarError data.*: nothing usable in one of the specs, most of it broken, or too short; data.cancelled; those of the hub
 */
export async function openData(specs: readonly DataSpec[], options: OpenDataOptions): Promise<OpenedData> {
  if (specs.length === 0) throw new QuasarError('data.bad_spec', 'no data is given', { hint: 'give --data' });
  const { tokenizer, windowTokens, heldOutShare = DEFAULT_HELD_OUT_SHARE, adapt = (source) => source } = options;
  const cache = new TokenCache({ directory: options.cacheDirectory, tokenizer });
  const names = nameSpecs(specs);
  const sources: { source: Source; weight: number }[] = [];
  const heldOut: OpenedData['heldOut'] = {};
  const parts: DataPart[] = [];
  const pinned: string[] = [];
  const made = (source: Source): HeldOutSource => ({
    ...source,
    bytesPerToken: measureBytesPerToken(source, tokenizer),
  });
  for (const [i, spec] of specs.entries()) {
    if (!isCorpus(spec)) pinned.push(formatSpec(spec));
    if (spec.kind === 'recall') continue;
    if (spec.kind === 'world') {
      const world = adapt(worldSource(tokenizer), 'world');
      sources.push({ source: world, weight: spec.weight });
      heldOut.world = made(world);
      continue;
    }
    const { part, shards } = await openPart(spec, names[i] as string, cache, options);
    const fingerprint = sha256Hex([...shards.map(({ header }) => header.key), heldOutShare].join(' '));
    const source = (table: DocumentTable) =>
      adapt(corpusSource(part.name, table, { windowTokens, fingerprint }), spec.kind);
    sources.push({ source: source(part.train), weight: spec.weight });
    if (part.heldOut.tokens > part.heldOut.documents) heldOut[part.name] = source(part.heldOut);
    parts.push(part);
    pinned.push(part.spec);
  }
  const mixed = () =>
    sources.length === 1 ? (sources[0] as { source: Source }).source : mixture(sources, windowTokens);
  const recallWeight = specs.reduce((sum, { kind, weight }) => sum + (kind === 'recall' ? weight : 0), 0);
  if (recallWeight > 0) {
    const recall = (split: 'train' | 'test', filler: Source | undefined) =>
      adapt(recallSource(tokenizer, { tokens: windowTokens, split }, filler), 'recall');
    const [unseen] = Object.values(heldOut);
    sources.push({ source: recall('train', sources.length > 0 ? mixed() : undefined), weight: recallWeight });
    heldOut.recall = made(recall('test', unseen));
  }
  return { train: mixed(), heldOut, skipped: parts.flatMap((part) => part.skipped), parts, specs: pinned };
}

async function openPart(
  spec: CorpusSpec,
  name: string,
  cache: TokenCache,
  options: OpenDataOptions,
): Promise<{ part: DataPart; shards: Shard[] }> {
  const { textField = 'text', heldOutShare = DEFAULT_HELD_OUT_SHARE, signal, onProgress } = options;
  const located = await locate(spec, options);
  const { passageBytes } = located;
  const sizeBytes = totalBytes(located.bundles.flat());
  const tell = (phase: DataProgress['phase'], doneBytes: number) =>
    onProgress?.({ name, phase, doneBytes, totalBytes: sizeBytes });
  const shards: Shard[] = [];
  const skipped: SkippedData[] = [];
  let doneBytes = 0;
  for (const bundle of located.bundles) {
    const files: DataFile[] = [];
    for (const file of bundle) {
      checkSignal(signal);
      if (spec.kind === 'hub') tell('download', doneBytes + totalBytes(files));
      files.push(await file.obtain(signal));
    }
    const onBytes = (bytes: number) => {
      doneBytes += bytes;
      tell('tokenise', doneBytes);
    };
    const shard = await cache.obtain(files, { textField, passageBytes }, { onBytes, signal });
    shards.push(shard);
    skipped.push(...skippedIn(shard, files));
  }
  const sum = (member: 'passages' | 'textBytes') => shards.reduce((total, { header }) => total + header[member], 0);
  checkUsable(located.spec, { passages: sum('passages'), textBytes: sum('textBytes') }, skipped);
  if (located.leftOut.files > 0) {
    skipped.push({
      path: located.spec,
      code: 'data.left_out',
      message: `files of ${located.leftOut.sizeBytes} bytes beyond the download limit are left out`,
      hint: 'raise --data-limit',
      count: located.leftOut.files,
    });
  }
  const { train, heldOut } = splitCorpus(shards, heldOutShare);
  if (train.tokens === train.documents) {
    throw new QuasarError('data.too_short', `--data ${located.spec}: one document, and that one would be held out`, {
      hint: 'give more documents, or a longer text',
    });
  }
  const part = { name, spec: located.spec, files: located.bundles.flat().length, sizeBytes, train, heldOut, skipped };
  return { part, shards };
}

const SAMPLES = 64;

/** Of a source whose documents are made by code: an estimate from a few. */
function measureBytesPerToken(source: Source, tokenizer: Tokenizer): number {
  const reader = source.open('bytes per token');
  let [bytes, predictions] = [0, 0];
  for (let i = 0; i < SAMPLES; i++) {
    const { ids } = reader.next();
    bytes += Buffer.byteLength(tokenizer.decode(ids));
    predictions += ids.length - 1;
  }
  return bytes / predictions;
}
