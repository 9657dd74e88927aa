/** @file Losses of sets that are never trained on: from a set's start, the same batches each time. */
import { measure, type Trainee } from './compute.ts';
import { pack } from './data/batch.ts';
import type { Source } from './data/source.ts';
import type { TrainSettings } from './trainer.ts';

type Settings = Pick<TrainSettings, 'B' | 'T' | 'blockTokens' | 'evaluateBatches'>;

/** Per set, the weighted means of the objective, nats per token. */
export async function heldOutLosses(
  trainee: Trainee,
  sets: Readonly<Record<string, Source>>,
  { B, T, blockTokens, evaluateBatches }: Settings,
): Promise<Record<string, Record<string, number>>> {
  const losses: Record<string, Record<string, number>> = {};
  for (const [name, source] of Object.entries(sets)) {
    const reader = source.open('held-out');
    const works = Array.from({ length: evaluateBatches }, () => ({ batch: pack(reader, B, T), blockTokens }));
    losses[name] = await measure(trainee, works);
  }
  return losses;
}
