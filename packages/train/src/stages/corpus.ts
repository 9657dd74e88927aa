/** @file What a stage reads: the data it was given, or the world. */
import type { Tokenizer } from '@quasar/model';
import { type OpenDataOptions, openData } from '../data/open.ts';
import { type Source, worldSource } from '../data/source.ts';
import { type DataSpec, formatSpec, parseData } from '../data/spec.ts';
import type { SkippedData } from '../data/usable.ts';
import { hasResume } from '../resume.ts';
import { RunFolder } from '../runs/run-folder.ts';
import type { StageOptions } from './stage.ts';

export interface StageData extends Omit<OpenDataOptions, 'tokenizer' | 'windowTokens' | 'signal' | 'adapt'> {
  specs: readonly DataSpec[];
  /** Hears of what was passed over, once per kind of finding and file. */
  onSkipped?: ((skipped: SkippedData) => void) | undefined;
}

export interface Sources {
  train: Source;
  heldOut: Record<string, Source>;
  skipped: SkippedData[];
  /** What was read, as `--data` takes it; revisions of the hub are pinned. */
  specs?: string[] | undefined;
}

/**
 * A run that goes on reads the revisions that it began with, wherever the branches of the hub are by now.
 * @param rowTokens length of a training row
 * @param adapt what the stage makes of the world and of other data
 * @throws QuasarError data.* as `openData`
 */
export async function corpusSources(
  tokenizer: Tokenizer,
  { data, signal, directory }: Pick<StageOptions, 'data' | 'signal'> & { directory?: string },
  rowTokens: number,
  adapt: OpenDataOptions['adapt'] = (source) => source,
): Promise<Sources> {
  if (data === undefined) {
    const world = adapt(worldSource(tokenizer), 'world');
    return { train: world, heldOut: { world }, skipped: [], specs: ['world'] };
  }
  const { onSkipped, ...options } = data;
  const specs = directory === undefined ? data.specs : pinned(data.specs, new RunFolder(directory));
  const opened = await openData(specs, { ...options, tokenizer, windowTokens: rowTokens, signal, adapt });
  for (const skipped of opened.skipped) onSkipped?.(skipped);
  return opened;
}

/** The specs with the revisions of the run that is in the folder, where it can go on and read the same data. */
function pinned(specs: readonly DataSpec[], folder: RunFolder): readonly DataSpec[] {
  if (!hasResume(folder.root)) return specs;
  const earlier = parseData(folder.readRecord().record.data.specs ?? []);
  return specs.map((spec) => {
    if (spec.kind !== 'hub' || spec.revision !== null) return spec;
    const same = (one: DataSpec) => one.kind === 'hub' && formatSpec({ ...one, revision: null }) === formatSpec(spec);
    return earlier.find(same) ?? spec;
  });
}
