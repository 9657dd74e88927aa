/**
 * @file The training loop: batch, gradient, clip, AdamW, expert bias; progress, held-out evaluation, stop and resume.
 * Everything random is a function of (seed, step), so a run that stops and resumes gives the bits of one that did not.
 */
import { mkdirSync } from 'node:fs';
import { QuasarError, Rng } from '@quasar/base';
import { type Checkpoint, tensorTable } from '@quasar/model';
import { gradients, scope, type Tensor } from '@quasar/tensor';
import { pack } from './data/batch.ts';
import type { Source } from './data/source.ts';
import { updateExpertBias } from './expert-bias.ts';
import { heldOutMetrics, readMetrics } from './held-out.ts';
import type { Objective } from './objectives/objective.ts';
import { ADAMW_DEFAULTS, AdamW, type AdamWSettings, squaredNorm } from './optim/adamw.ts';
import { Muon } from './optim/muon.ts';
import type { Optimizer } from './optim/optimizer.ts';
import { learningRate } from './optim/schedule.ts';
import { restoreResume, saveResume } from './resume.ts';

export interface TrainSettings {
  steps: number;
  /** Rows and tokens per row of a batch. */
  B: number;
  T: number;
  /** At the peak. */
  learningRate: number;
  warmupSteps: number;
  /** Share of the run that decays at the end. */
  decayShare: number;
  seed: string;
  optimizer: AdamWSettings;
  /** What moves hidden matrices and experts. Default: AdamW, like the rest. */
  matrices?: 'adamw' | 'muon';
  /** Steps between saves of the resume point; 0: none. */
  saveEvery: number;
  /** Steps between held-out evaluations; 0: only at the start and the end. */
  evaluateEvery: number;
}

export const TRAIN_DEFAULTS: Omit<TrainSettings, 'steps' | 'seed'> = {
  B: 8,
  T: 256,
  learningRate: 2e-3,
  warmupSteps: 20,
  decayShare: 0.4,
  optimizer: ADAMW_DEFAULTS,
  saveEvery: 50,
  evaluateEvery: 0,
};

export interface StepReport {
  /** Steps done. */
  step: number;
  steps: number;
  /** Means of the objective, nats per token. */
  metrics: Record<string, number>;
  learningRate: number;
  /** Before clipping. */
  gradientNorm: number;
  tokensPerSecond: number;
  etaMs: number;
}

export interface Evaluation {
  step: number;
  /** Per held-out set: metrics in nats per token. */
  heldOut: Record<string, Record<string, number>>;
}

export interface TrainRun {
  checkpoint: Checkpoint;
  objective: Objective;
  source: Source;
  /** Fixed batches that are never trained on, by name. */
  heldOut?: Record<string, Source> | undefined;
  settings: TrainSettings;
  /** Holds the resume point; null: none is kept. */
  directory: string | null;
  /** Trade time for memory: compute each layer again in the backward pass. Gives the same bits. Default false. */
  recompute?: boolean | undefined;
  onStep?: ((report: StepReport) => void) | undefined;
  onEvaluation?: ((evaluation: Evaluation) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Trains `checkpoint.parameters` in place, from the resume point where there is one.
 * @returns the evaluations of the whole run, also those before a resume
 * @throws QuasarError train.diverged (the weights are those before the bad step), train.cancelled (the resume point is
 * saved), train.resume_mismatch, data.*
 */
export async function train(run: TrainRun): Promise<{ evaluations: Evaluation[] }> {
  const { checkpoint, settings, directory } = run;
  const { steps, warmupSteps, decayShare, saveEvery, evaluateEvery } = settings;
  const Kind = settings.matrices === 'muon' ? Muon : AdamW;
  const optimizer: Optimizer = new Kind(checkpoint.parameters, tensorTable(checkpoint.config), settings.optimizer);
  try {
    if (directory) mkdirSync(directory, { recursive: true });
    const evaluations = directory ? restoreResume(directory, run, optimizer) : [];
    const evaluate = async () => {
      if (!run.heldOut) return;
      const evaluation = { step: optimizer.step, heldOut: await heldOutMetrics(run) };
      evaluations.push(evaluation);
      run.onEvaluation?.(evaluation);
    };
    if (evaluations.length === 0) await evaluate();
    const startedAtMs = performance.now();
    const firstStep = optimizer.step;
    while (optimizer.step < steps) {
      if (run.signal?.aborted) {
        if (directory) await saveResume(directory, run, optimizer, evaluations);
        throw new QuasarError('train.cancelled', `training stopped at step ${optimizer.step} of ${steps}`, {
          ...(directory ? { hint: 'run the same command again to go on' } : {}),
          retry: 'later',
        });
      }
      const lr = learningRate({ peak: settings.learningRate, warmupSteps, steps, decayShare }, optimizer.step);
      const { metrics, gradientNorm } = await trainStep(run, optimizer, lr);
      const done = optimizer.step - firstStep;
      const elapsedMs = performance.now() - startedAtMs;
      run.onStep?.({
        step: optimizer.step,
        steps,
        metrics,
        learningRate: lr,
        gradientNorm,
        tokensPerSecond: (done * settings.B * settings.T * 1000) / elapsedMs,
        etaMs: (elapsedMs / done) * (steps - optimizer.step),
      });
      const isLast = optimizer.step === steps;
      if (isLast || isDue(evaluateEvery, optimizer.step)) await evaluate();
      if (directory && !isLast && isDue(saveEvery, optimizer.step))
        await saveResume(directory, run, optimizer, evaluations);
      // Lets signals, messages and timers through between steps.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { evaluations };
  } finally {
    optimizer.dispose();
  }
}

function isDue(every: number, step: number): boolean {
  return every > 0 && step % every === 0;
}

/**
 * One step of a run: batch, gradient, clipping, AdamW, expert bias. @throws QuasarError train.diverged, data.*
 */
export async function trainStep(
  run: Pick<TrainRun, 'checkpoint' | 'objective' | 'source' | 'settings' | 'recompute'>,
  optimizer: Optimizer,
  lr: number,
): Promise<{ metrics: Record<string, number>; gradientNorm: number }> {
  const { checkpoint, objective, source, settings } = run;
  const { config, parameters } = checkpoint;
  const rng = new Rng(`${settings.seed}/step/${optimizer.step}`);
  const batch = pack(() => source.document(rng), settings.B, settings.T);
  const out = scope(() => {
    const {
      value,
      gradients: whole,
      rowGradients,
    } = gradients(optimizer.parameters, () =>
      objective.evaluate(config, parameters, batch, { recompute: run.recompute }),
    );
    const found = whole.map((gradient, i) => gradient ?? rowGradients[i] ?? null);
    return { metrics: value.metrics, counts: value.counts, found, norm: squaredNorm(found) };
  });
  try {
    const metrics = await readMetrics(out.metrics);
    const gradientNorm = Math.sqrt(out.norm ? await out.norm.item() : 0);
    if (!Number.isFinite(gradientNorm) || Object.values(metrics).some((x) => !Number.isFinite(x))) {
      throw new QuasarError(
        'train.diverged',
        `training diverged at step ${optimizer.step}: ${JSON.stringify(metrics)}, gradient norm ${gradientNorm}`,
        {
          hint: 'lower --learning-rate or start from another checkpoint',
          data: { step: optimizer.step, metrics },
        },
      );
    }
    optimizer.update(out.found, lr, gradientNorm);
    if (out.counts.length > 0) updateExpertBias(checkpoint, out.counts);
    return { metrics, gradientNorm };
  } finally {
    const found = out.found.flatMap((gradient) =>
      gradient && 'ids' in gradient ? Object.values(gradient) : [gradient],
    );
    disposeAll([...Object.values(out.metrics), ...out.counts, ...found, out.norm]);
  }
}

/** Some may be views of one buffer. */
function disposeAll(tensors: readonly (Tensor | null)[]): void {
  const byBuffer = new Map(tensors.flatMap((tensor) => (tensor ? [[tensor.buffer, tensor] as const] : [])));
  for (const tensor of byBuffer.values()) tensor.dispose();
}
