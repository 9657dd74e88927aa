/** @file Held-out losses: a few fixed batches per set, the same for every seed and every step. */
import { Rng } from '@quasar/base';
import { noGrad, scope, type Tensor } from '@quasar/tensor';
import { pack } from './data/batch.ts';
import type { TrainRun } from './trainer.ts';

const BATCHES = 4;

/** Per set, the mean of each metric of the objective over its batches, nats per token. */
export async function heldOutMetrics(run: TrainRun): Promise<Record<string, Record<string, number>>> {
  const { checkpoint, objective, settings } = run;
  const result: Record<string, Record<string, number>> = {};
  for (const [name, source] of Object.entries(run.heldOut ?? {})) {
    const means: Record<string, number> = {};
    for (let i = 0; i < BATCHES; i++) {
      const rng = new Rng(`held-out/${name}/${i}`);
      const batch = pack(() => source.document(rng), settings.B, settings.T);
      const metrics = scope(() =>
        noGrad(() => objective.evaluate(checkpoint.config, checkpoint.parameters, batch).metrics),
      );
      for (const [key, value] of Object.entries(await readMetrics(metrics)))
        means[key] = (means[key] ?? 0) + value / BATCHES;
      for (const tensor of Object.values(metrics)) tensor.dispose();
    }
    result[name] = means;
  }
  return result;
}

export async function readMetrics(metrics: Record<string, Tensor>): Promise<Record<string, number>> {
  return Object.fromEntries(
    await Promise.all(Object.entries(metrics).map(async ([key, tensor]) => [key, await tensor.item()] as const)),
  );
}
