/** @file The base model, seen through the same secret as every submission. Read once per lock and secret. */
import type { ModelLock } from '../precheck/model-lock.ts';
import { scanWeights } from '../precheck/scan-weights.ts';
import { type SampleCounts, samplePlan, weightTraces } from './content.ts';
import type { Fingerprint } from './fingerprint.ts';
import type { BaseTraces } from './record.ts';
import { tensorGroups } from './tensor-groups.ts';

const known = new WeakMap<ModelLock, Map<string, Promise<BaseTraces>>>();

/** @param fingerprint of the checkpoint in a directory; absent: what models compute is not compared */
export function baseTraces(
  lock: ModelLock,
  secret: string,
  counts: SampleCounts,
  fingerprint?: (directory: string) => Promise<Fingerprint>,
): Promise<BaseTraces> {
  const ofLock = known.get(lock) ?? new Map<string, Promise<BaseTraces>>();
  known.set(lock, ofLock);
  const key = `${secret}/${counts.chunksPerTensor}/${counts.samplesPerTensor}/${fingerprint ? 'computed' : 'read'}`;
  const before = ofLock.get(key);
  if (before) return before;
  const read = readBase(lock, secret, counts, fingerprint);
  ofLock.set(key, read);
  // A failure is that of a moment: the next call tries again.
  read.catch(() => ofLock.delete(key));
  return read;
}

async function readBase(
  lock: ModelLock,
  secret: string,
  counts: SampleCounts,
  fingerprint?: (directory: string) => Promise<Fingerprint>,
): Promise<BaseTraces> {
  const scan = await scanWeights(lock.directory, samplePlan(secret, counts));
  const groups = tensorGroups(lock.config);
  return {
    ...weightTraces(scan),
    rms: new Map([...lock.base].map(([name, { rms }]) => [name, rms])),
    stable: new Set([...groups].flatMap(([name, group]) => (group === 'stable' ? [name] : []))),
    fingerprint: await fingerprint?.(lock.directory),
  };
}
