/**
 * @file The training loop: batch, gradient, clip, AdamW, expert bias; progress, held-out evaluation, stop and resume.
 * Everything random is a function of (seed, step), so a run that stops and resumes gives the bits of one that did not.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { QuasarError, Rng, writeFileAtomic } from '@quasar/base';
import {
  type Checkpoint,
  decodeTensor,
  readSafetensorsHeader,
  smebuUpdate,
  tensorTable,
  writeSafetensors,
} from '@quasar/model';
import { gradients, noGrad, scope, type Tensor } from '@quasar/tensor';
import { pack } from './data/batch.ts';
import type { Source } from './data/source.ts';
import type { Objective } from './objectives/objective.ts';
import { ADAMW_DEFAULTS, AdamW, type AdamWSettings, squaredNorm } from './optim/adamw.ts';
import { learningRate } from './optim/schedule.ts';

export interface TrainSettings {
  steps: number;
  /** Rows and tokens per row of a batch. */
  B: number;
  T: number;
  learningRate: number;
  warmupSteps: number;
  decayShare: number;
  seed: string;
  optimizer: AdamWSettings;
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
  step: number;
  steps: number;
  /** Means of the objective, nats per token. */
  metrics: Record<string, number>;
  learningRate: number;
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
  heldOut?: Record<string, Source>;
  settings: TrainSettings;
  /** Resume point; null: none is kept. */
  directory: string | null;
  onStep?: (report: StepReport) => void;
  onEvaluation?: (evaluation: Evaluation) => void;
  signal?: AbortSignal;
}

const HELD_OUT_BATCHES = 4;
const RESUME_FILE = 'resume.safetensors';

/**
 * Trains `checkpoint.parameters` in place.
 * @throws QuasarError train.diverged, train.cancelled (the resume point is saved), train.resume_mismatch
 */
export async function train(run: TrainRun): Promise<{ evaluations: Evaluation[] }> {
  const { checkpoint, settings, directory } = run;
  const { config, parameters } = checkpoint;
  const optimizer = new AdamW(parameters, tensorTable(config), settings.optimizer);
  const evaluations: Evaluation[] = [];
  try {
    if (directory) {
      mkdirSync(directory, { recursive: true });
      restore(directory, checkpoint, optimizer, settings);
    }
    const evaluate = async (step: number) => {
      if (!run.heldOut) return;
      const evaluation = { step, heldOut: await heldOutMetrics(run) };
      evaluations.push(evaluation);
      run.onEvaluation?.(evaluation);
    };
    await evaluate(optimizer.step);
    const startedAtMs = performance.now();
    const firstStep = optimizer.step;
    while (optimizer.step < settings.steps) {
      if (run.signal?.aborted) {
        if (directory) await save(directory, checkpoint, optimizer, settings);
        throw new QuasarError('train.cancelled', `training stopped at step ${optimizer.step} of ${settings.steps}`, {
          hint: directory ? 'run the same command again to go on' : undefined!,
          retry: 'later',
        });
      }
      const lr = learningRate(
        {
          peak: settings.learningRate,
          warmupSteps: settings.warmupSteps,
          steps: settings.steps,
          decayShare: settings.decayShare,
        },
        optimizer.step,
      );
      const { metrics, gradientNorm } = await trainStep(run, optimizer, lr);
      const done = optimizer.step - firstStep;
      const elapsedMs = performance.now() - startedAtMs;
      run.onStep?.({
        step: optimizer.step,
        steps: settings.steps,
        metrics,
        learningRate: lr,
        gradientNorm,
        tokensPerSecond: (done * settings.B * settings.T * 1000) / elapsedMs,
        etaMs: (elapsedMs / done) * (settings.steps - optimizer.step),
      });
      const last = optimizer.step === settings.steps;
      if (directory && settings.saveEvery > 0 && !last && optimizer.step % settings.saveEvery === 0)
        await save(directory, checkpoint, optimizer, settings);
      if (last || (settings.evaluateEvery > 0 && optimizer.step % settings.evaluateEvery === 0))
        await evaluate(optimizer.step);
      // Lets signals, messages and timers through between steps.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { evaluations };
  } finally {
    optimizer.dispose();
  }
}

/** Removes the resume point of a finished run. */
export function clearResume(directory: string): void {
  rmSync(join(directory, RESUME_FILE), { force: true });
}

async function trainStep(
  run: TrainRun,
  optimizer: AdamW,
  lr: number,
): Promise<{ metrics: Record<string, number>; gradientNorm: number }> {
  const { checkpoint, objective, source, settings } = run;
  const { config, parameters } = checkpoint;
  const rng = new Rng(`${settings.seed}/step/${optimizer.step}`);
  const batch = pack(() => source.document(rng), settings.B, settings.T);
  const out = scope(() => {
    const { value, gradients: found } = gradients(optimizer.parameters, () =>
      objective.evaluate(config, parameters, batch),
    );
    return { metrics: value.metrics, counts: value.counts, found, norm: squaredNorm(found) };
  });
  try {
    const metrics = await readAll(out.metrics);
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
    if (out.counts.length > 0) await updateExpertBias(checkpoint, out.counts);
    return { metrics, gradientNorm };
  } finally {
    const buffers = new Set<unknown>();
    for (const t of [...Object.values(out.metrics), ...out.counts, ...out.found, out.norm]) {
      if (t && !buffers.has(t.buffer)) {
        buffers.add(t.buffer);
        t.dispose();
      }
    }
  }
}

async function updateExpertBias({ config, parameters }: Checkpoint, counts: Tensor[]): Promise<void> {
  const get = (name: string) => parameters.get(`model.${name}`) as Tensor;
  const [bias, momentum, vio] = [get('all_moe_bias'), get('all_moe_momentum'), get('all_moe_max_vio')];
  const values = await Promise.all([bias, momentum, vio].map(async (t) => Float32Array.from(await t.read())));
  const [b, m, x] = values as [Float32Array, Float32Array, Float32Array];
  const loads = await Promise.all(counts.map((c) => c.read()));
  // With several loops one layer has several counts: they add up.
  const layers = x.length;
  const sums = Array.from({ length: layers }, (_, l) =>
    loads
      .filter((_, i) => i % layers === l)
      .reduce((a, n) => a.map((v, e) => v + (n[e] as number)), new Float64Array(config.num_routed_experts)),
  );
  smebuUpdate(b, m, x, sums, { kappa: config.smebu_kappa, lambda: config.smebu_lambda, beta: config.smebu_beta });
  bias.write(b);
  momentum.write(m);
  vio.write(x);
}

async function heldOutMetrics(run: TrainRun): Promise<Record<string, Record<string, number>>> {
  const { checkpoint, objective, settings } = run;
  const result: Record<string, Record<string, number>> = {};
  for (const [name, source] of Object.entries(run.heldOut ?? {})) {
    const sums: Record<string, number> = {};
    for (let i = 0; i < HELD_OUT_BATCHES; i++) {
      const rng = new Rng(`held-out/${name}/${i}`);
      const batch = pack(() => source.document(rng), settings.B, settings.T);
      const metrics = scope(() =>
        noGrad(() => objective.evaluate(checkpoint.config, checkpoint.parameters, batch).metrics),
      );
      for (const [key, value] of Object.entries(await readAll(metrics)))
        sums[key] = (sums[key] ?? 0) + value / HELD_OUT_BATCHES;
      for (const t of Object.values(metrics)) t.dispose();
    }
    result[name] = sums;
  }
  return result;
}

async function readAll(metrics: Record<string, Tensor>): Promise<Record<string, number>> {
  return Object.fromEntries(
    await Promise.all(Object.entries(metrics).map(async ([key, t]) => [key, await t.item()] as const)),
  );
}

/** One file holds weights, moments and step, so that no crash can leave them from different steps. */
async function save(
  directory: string,
  { config, parameters }: Checkpoint,
  optimizer: AdamW,
  settings: TrainSettings,
): Promise<void> {
  const tensors = new Map<string, { shape: number[]; dtype: 'F32'; values: Float32Array }>();
  const put = async (name: string, t: Tensor) =>
    tensors.set(name, { shape: [...t.shape], dtype: 'F32', values: Float32Array.from(await t.read()) });
  for (const name of tensorTable(config).keys()) await put(`p.${name}`, parameters.get(name) as Tensor);
  for (const [name, t] of optimizer.moments()) await put(name, t);
  writeFileAtomic(
    join(directory, RESUME_FILE),
    writeSafetensors(tensors, { step: String(optimizer.step), settings: JSON.stringify(settings) }),
  );
}

function restore(directory: string, { parameters }: Checkpoint, optimizer: AdamW, settings: TrainSettings): void {
  const path = join(directory, RESUME_FILE);
  if (!existsSync(path)) return;
  const bytes = readFileSync(path);
  const header = readSafetensorsHeader(bytes, bytes.length);
  if (!header.ok || header.value.metadata.settings !== JSON.stringify(settings)) {
    throw new QuasarError('train.resume_mismatch', `resume point ${path} is of another run or damaged`, {
      hint: 'delete the file to start again, or use the same settings',
    });
  }
  const moments = optimizer.moments();
  for (const [name, { start, end, dtype }] of header.value.tensors) {
    const target = name.startsWith('p.') ? parameters.get(name.slice(2)) : moments.get(name);
    target?.write(decodeTensor(bytes.subarray(start, end), dtype));
  }
  optimizer.step = Number(header.value.metadata.step);
}
