/** @file From the queue, which forgets a round when it is over, into the evidence folder, which does not. */
import { QuasarError } from '@quasar/base';
import type { JobQueue } from '@quasar/store';
import { resultBlobs } from '../evaluation/units.ts';
import type { EvidenceFolder, KeptUnit } from './evidence-folder.ts';

/** @throws QuasarError with `retry: 'later'`: the evidence is not complete yet, so nothing may rest on this unit */
export async function keepUnit(folder: EvidenceFolder, queue: JobQueue, round: number, unit: KeptUnit): Promise<void> {
  const blobs = new Map<string, Uint8Array>();
  for (const sha256 of resultBlobs(unit.kind, unit.result)) {
    const bytes = await queue.getBlob(sha256);
    if (bytes === null)
      throw new QuasarError('evidence.blob_missing', `the queue does not hold the blob ${sha256.slice(0, 12)}`, {
        hint: 'Somebody emptied the queue during a round; the next round makes it again.',
        retry: 'later',
      });
    blobs.set(sha256, bytes);
  }
  folder.keepUnit(round, unit, blobs);
}
