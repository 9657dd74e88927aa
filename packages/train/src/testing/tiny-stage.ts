/** @file For tests: a tiny training run with its record on disk. */
import { worldSource } from '../data/source.ts';
import type { RunEvent } from '../runs/events.ts';
import { runStage, type StageOptions } from '../stages/stage.ts';
import type { TrainSettings } from '../trainer.ts';
import { TOKENIZER, tinyRun } from './tiny.ts';

/** Trains into `directory`, held-out set included. @returns what was told */
export async function tinyStage(
  directory: string,
  settings: Partial<TrainSettings> = {},
  more: Partial<StageOptions> = {},
): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  const { checkpoint, objective, source, settings: whole } = tinyRun({ evaluateBatches: 1, ...settings });
  const { steps, seed } = whole;
  await runStage(
    {
      name: 'pretrain',
      checkpoint,
      objective,
      objectiveSpec: { kind: 'cross_entropy' },
      source,
      heldOut: { world: worldSource(TOKENIZER) },
      settings: whole,
    },
    { directory, steps, seed, onEvent: (event) => events.push(event), ...more },
  );
  return events;
}
