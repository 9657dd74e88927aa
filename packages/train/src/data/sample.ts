/** @file Texts without tokens: a bounded sample to learn a vocabulary from, and a look whether there is text at all. */
import { type LocateOptions, locate, totalBytes } from './locate.ts';
import { DEFAULT_HELD_OUT_SHARE } from './open.ts';
import type { Skip } from './readers/document.ts';
import { readDocuments } from './readers/read.ts';
import { drawOf } from './shards/encode.ts';
import { checkSignal } from './shards/token-cache.ts';
import { type CorpusSpec, type DataSpec, isCorpus } from './spec.ts';
import { checkUsable, countSkip, type SkippedData } from './usable.ts';

export interface SampleOptions extends LocateOptions {
  textField?: string | undefined;
  /** As of `openData`. */
  heldOutShare?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * The beginnings of all files, of each in proportion to its size, without what is held out for its hash.
 * @param maxBytes of text in all, more or less: what is in memory at once
 * @throws QuasarError as `openData`
 */
export async function sampleTexts(
  specs: readonly DataSpec[],
  maxBytes: number,
  options: SampleOptions = {},
): Promise<{ texts: string[]; skipped: SkippedData[] }> {
  const corpora = specs.filter(isCorpus);
  const texts: string[] = [];
  const skipped: SkippedData[] = [];
  const { heldOutShare = DEFAULT_HELD_OUT_SHARE } = options;
  const keep = (text: string) => {
    if (drawOf(text) >= heldOutShare * 2 ** 32) texts.push(text);
  };
  for (const spec of corpora) skipped.push(...(await readSome(spec, maxBytes / corpora.length, options, keep)));
  return { texts, skipped };
}

/** Enough to know a text by. */
const CHECK_BYTES = 64 * 1024;

/**
 * Refuses what no training could use: reads beginnings only. Data sets of the hub are not looked at.
 * @throws QuasarError as `openData`
 */
export async function checkData(specs: readonly DataSpec[], options: SampleOptions = {}): Promise<void> {
  for (const spec of specs) if (spec.kind === 'path') await readSome(spec, CHECK_BYTES, options, () => {});
}

async function readSome(
  spec: CorpusSpec,
  maxBytes: number,
  options: SampleOptions,
  onText: (text: string) => void,
): Promise<SkippedData[]> {
  const { textField = 'text', signal } = options;
  const { bundles, passageBytes, spec: pinned } = await locate(spec, options);
  const files = bundles.flat();
  const share = Math.min(1, maxBytes / Math.max(1, totalBytes(files)));
  const skipped: SkippedData[] = [];
  let [texts, textBytes] = [0, 0];
  for (const located of files) {
    const file = await located.obtain(signal);
    const path = located.label;
    const onSkip = (skip: Skip) => countSkip(skipped, { path, ...skip }, (other) => other.path === path);
    const enoughBytes = textBytes + Math.max(share * file.sizeBytes, 1);
    for await (const documents of readDocuments(file, { textField, passageBytes, onSkip })) {
      checkSignal(signal);
      for (const document of documents) {
        for (const text of 'text' in document ? [document.text] : document.messages.map(({ content }) => content)) {
          onText(text);
          texts++;
          textBytes += Buffer.byteLength(text);
        }
        if (textBytes >= enoughBytes) break;
      }
      if (textBytes >= enoughBytes) break;
    }
  }
  checkUsable(pinned, { passages: texts, textBytes }, skipped);
  return skipped;
}
