/** @file What a stage reads: the data it was given, or the world. */
import type { Tokenizer } from '@quasar/model';
import { type OpenDataOptions, openData } from '../data/open.ts';
import { type Source, worldSource } from '../data/source.ts';
import type { DataSpec } from '../data/spec.ts';
import type { SkippedData } from '../data/usable.ts';
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
}

/**
 * @param rowTokens length of a training row
 * @param adapt what the stage makes of the world and of other data
 * @throws QuasarError data.* as `openData`
 */
export async function corpusSources(
  tokenizer: Tokenizer,
  { data, signal }: Pick<StageOptions, 'data' | 'signal'>,
  rowTokens: number,
  adapt: OpenDataOptions['adapt'] = (source) => source,
): Promise<Sources> {
  if (data === undefined) {
    const world = adapt(worldSource(tokenizer), 'world');
    return { train: world, heldOut: { world }, skipped: [] };
  }
  const { specs, onSkipped, ...options } = data;
  const opened = await openData(specs, { ...options, tokenizer, windowTokens: rowTokens, signal, adapt });
  for (const skipped of opened.skipped) onSkipped?.(skipped);
  return opened;
}
