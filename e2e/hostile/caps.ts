/** @file What a contest may take, whatever is thrown at it. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { createModelLock } from '../../packages/subnet/src/index.ts';
import { maxTotalBytes } from '../../packages/subnet/src/precheck/declared-sizes.ts';
import type { CorpusFigures } from '../../packages/subnet/src/testing/hostile/table.ts';
import type { Arena } from './arena.ts';
import { CAGE_MEMORY_BYTES } from './holed-cage.ts';

/** Models, traces and answers of a round, the hub and the chain themselves; nothing of the bombs. */
const MAX_MEMORY_GROWTH_BYTES = 512 * 2 ** 20;
/** What a cage takes between two looks of its watch, on a slow machine. */
const CAGE_SPARE_BYTES = 512 * 2 ** 20;
/** A record of a submission is some 60 kB, its scores and evidence less. */
const MAX_LOG_BYTES_PER_SUBMISSION = 256 * 1024;

/** What was taken and what may be. @param submissions how many were sent */
export async function capsOf(arena: Arena, submissions: number): Promise<CorpusFigures> {
  const { memoryGrowthBytes, cageBytes, cacheBytes, evidenceBytes, eventLogBytes } = arena.peaks;
  const lock = await createModelLock(join(arena.test.root, 'base'), arena.config.limits);
  return {
    ...{ memoryGrowthBytes, maxMemoryGrowthBytes: MAX_MEMORY_GROWTH_BYTES },
    ...{ cageBytes, maxCageBytes: CAGE_MEMORY_BYTES + CAGE_SPARE_BYTES },
    ...{ cacheBytes, maxCacheBytes: submissions * maxTotalBytes(lock) },
    ...{ logBytes: evidenceBytes + eventLogBytes, maxLogBytes: submissions * MAX_LOG_BYTES_PER_SUBMISSION },
  };
}

export function expectWithinCaps(figures: CorpusFigures): void {
  expect(figures.memoryGrowthBytes).toBeLessThan(figures.maxMemoryGrowthBytes);
  expect(figures.cageBytes).toBeLessThan(figures.maxCageBytes);
  expect(figures.cacheBytes).toBeLessThan(figures.maxCacheBytes);
  expect(figures.logBytes).toBeLessThan(figures.maxLogBytes);
}

/** Of contests one after the other: memory is taken again, disk is not given back. */
export function together(all: readonly CorpusFigures[]): CorpusFigures {
  const most = (name: keyof CorpusFigures) => Math.max(...all.map((figures) => figures[name]));
  const sum = (name: keyof CorpusFigures) => all.reduce((total, figures) => total + figures[name], 0);
  return {
    ...{ memoryGrowthBytes: most('memoryGrowthBytes'), maxMemoryGrowthBytes: most('maxMemoryGrowthBytes') },
    ...{ cageBytes: most('cageBytes'), maxCageBytes: most('maxCageBytes') },
    ...{ cacheBytes: sum('cacheBytes'), maxCacheBytes: sum('maxCacheBytes') },
    ...{ logBytes: sum('logBytes'), maxLogBytes: sum('maxLogBytes') },
  };
}
