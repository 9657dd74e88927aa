/**
 * @file The training loop: batches, gradient, clipping, optimizer, expert bias; held-out evaluation, guard, stop and resume.
 * Everything random is a function of the seed and the step, so a run that stops and resumes gives the bits of one that did not.
 */
import { mkdirSync } from 'node:fs';
import { QuasarError } from '@quasar/base';
import { tensorTable } from '@quasar/model';
import { inBursts, type Tensor } from '@quasar/tensor';
import { WeightAverage } from './average.ts';
import {
  type Compute,
  disposeGradients,
  localCompute,
  type StepGradients,
  type Trainee,
  type Work,
} from './compute.ts';
import { pack } from './data/batch.ts';
import type { Position, Reader, Source } from './data/source.ts';
import { updateExpertBias } from './expert-bias.ts';
import { GUARD_DEFAULTS, Guard, type GuardSettings } from './guard.ts';
import { heldOutLosses } from './held-out.ts';
import { ADAMW_DEFAULTS, AdamW, type AdamWSettings, squaredNorm } from './optim/adamw.ts';
import { Muon } from './optim/muon.ts';
import type { Gradient, Optimizer } from './optim/optimizer.ts';
import { learningRate, type ScheduleKind } from './optim/schedule.ts';
import { restoreResume, saveResume } from './resume.ts';
import { Throughput } from './throughput.ts';

export interface TrainSettings {
  steps: number;
  /** Rows and tokens per row of a batch. */
  B: number;
  T: number;
  /** Batches of an optimizer step, one after the other in memory. */
  accumulate: number;
  /** Gradients end every so many tokens of a row, the state goes on (truncated backpropagation). Absent: at its end alone. */
  blockTokens?: number | undefined;
  /** At the peak. */
  learningRate: number;
  warmupSteps: number;
  schedule: ScheduleKind;
  /** Of `wsd`: share of the run that decays at the end. */
  decayShare: number;
  seed: string;
  optimizer: AdamWSettings;
  /** What moves hidden matrices and experts; all else is moved by AdamW. */
  matrices: 'adamw' | 'muon';
  /** Of the moving average of weights, which is then what is evaluated and kept; 0: none. */
  averageDecay: number;
  /** Steps between saves of the resume point; 0: none. */
  saveEvery: number;
  /** Steps between held-out evaluations; 0: only at the start and the end. */
  evaluateEvery: number;
  /** Batches of each held-out set. */
  evaluateBatches: number;
  guard: GuardSettings;
}

export const TRAIN_DEFAULTS: Omit<TrainSettings, 'steps' | 'seed'> = {
  B: 8,
  T: 256,
  accumulate: 1,
  learningRate: 2e-3,
  warmupSteps: 20,
  schedule: 'wsd',
  decayShare: 0.4,
  optimizer: ADAMW_DEFAULTS,
  matrices: 'adamw',
  averageDecay: 0,
  saveEvery: 50,
  evaluateEvery: 0,
  evaluateBatches: 4,
  guard: GUARD_DEFAULTS,
};

/** Batches of another shape that each step has besides those of the settings. */
export interface Lane {
  source: Source;
  B: number;
  T: number;
  batches: number;
  blockTokens?: number | undefined;
}

export interface StepReport {
  /** Steps done. */
  step: number;
  steps: number;
  /** Read since the run began. */
  tokens: number;
  /** Means of the objective in nats per token; `loss` is what was differentiated. */
  metrics: Record<string, number>;
  learningRate: number;
  /** Before clipping. */
  gradientNorm: number;
  /** Of the last minute; before there was one, since this process began or went on with the run. */
  tokensPerSecond: number;
  etaMs: number;
  /** Tokens per expert of each (block, loop, mixture layer); only until the call is done. */
  counts: readonly Tensor[];
}

export interface Evaluation {
  step: number;
  /** Per held-out set: metrics in nats per token. */
  heldOut: Record<string, Record<string, number>>;
}

/** What happens to a run besides steps and evaluations. */
export type Incident =
  | { kind: 'resumed'; step: number }
  | { kind: 'saved'; step: number; bytes: number; ms: number }
  | { kind: 'save_failed'; step: number; error: Error }
  | { kind: 'skipped_step'; step: number; why: string }
  | { kind: 'rolled_back'; step: number; toStep: number; why: string };

export interface TrainRun extends Trainee {
  source: Source;
  /** Besides the batches of `source`. */
  beside?: readonly Lane[] | undefined;
  /** Batches that are never trained on, by name: from a set's start, the same each time. */
  heldOut?: Record<string, Source> | undefined;
  settings: TrainSettings;
  /** What the weights began as, such as a digest of their files: a run resumes only with the same. */
  from?: string | undefined;
  /** Holds the resume point; null: none is kept. */
  directory: string | null;
  /** Where gradients are computed; default: here. Closed with the run. */
  compute?: ((trainee: Trainee, optimizer: Optimizer) => Promise<Compute>) | undefined;
  /** Waited for. */
  onStep?: ((report: StepReport) => unknown) | undefined;
  onEvaluation?: ((evaluation: Evaluation) => void) | undefined;
  onIncident?: ((incident: Incident) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Trains `checkpoint.parameters` in place, from the resume point where there is one.
 * @returns the evaluations of the whole run, also those before a resume
 * @throws QuasarError train.diverged (the weights are the last good ones), train.cancelled (the resume point is saved),
 * train.save_failed, train.resume_mismatch, data.*
 */
export async function train(run: TrainRun): Promise<{ evaluations: Evaluation[] }> {
  const { directory } = run;
  if (directory) mkdirSync(directory, { recursive: true });
  const training = new Training(run);
  try {
    await training.open();
    return { evaluations: await training.finish() };
  } finally {
    await training.dispose();
  }
}

/** What moves the parameters of a run: of the model, and of its objective. */
export function openOptimizer({
  checkpoint,
  objective,
  settings,
}: Pick<TrainRun, 'checkpoint' | 'objective' | 'settings'>): Optimizer {
  const Kind = settings.matrices === 'muon' ? Muon : AdamW;
  const { tensors, table } = objective.parameters ?? { tensors: new Map(), table: new Map() };
  const parameters = new Map([...checkpoint.parameters, ...tensors]);
  return new Kind(parameters, new Map([...tensorTable(checkpoint.config), ...table]), settings.optimizer);
}

/** A run on its way. */
class Training {
  readonly #run: TrainRun;
  readonly #optimizer: Optimizer;
  readonly #average: WeightAverage | null;
  readonly #guard: Guard;
  readonly #lanes: Lane[];
  readonly #state: Map<string, Tensor>;
  #compute: Compute | null = null;
  #readers: Reader[] = [];
  #evaluations: Evaluation[] = [];
  /** Tokens of a step. */
  readonly #stepTokens: number;

  constructor(run: TrainRun) {
    const { checkpoint, objective, settings } = run;
    const { B, T, accumulate, blockTokens } = settings;
    this.#run = run;
    this.#lanes = [{ source: run.source, B, T, batches: accumulate, blockTokens }, ...(run.beside ?? [])];
    this.#stepTokens = this.#lanes.reduce((sum, lane) => sum + lane.B * lane.T * lane.batches, 0);
    this.#guard = new Guard(settings.guard);
    this.#optimizer = openOptimizer(run);
    const { averageDecay } = settings;
    this.#average =
      averageDecay > 0 ? new WeightAverage(checkpoint.parameters, tensorTable(checkpoint.config), averageDecay) : null;
    const own = [...(objective.parameters?.tensors ?? [])].map(([name, tensor]) => [`o.${name}`, tensor] as const);
    this.#state = new Map([...this.#optimizer.state(), ...(this.#average?.state() ?? []), ...own]);
  }

  async open(): Promise<void> {
    const { directory, compute } = this.#run;
    const optimizer = this.#optimizer;
    this.#compute = compute ? await compute(this.#run, optimizer) : localCompute(this.#run, optimizer.parameters);
    const saved = directory ? restoreResume(directory, this.#run, this.#state) : null;
    this.#openReaders(saved?.positions);
    if (saved) {
      this.#optimizer.step = saved.step;
      this.#guard.state = saved.guard;
      this.#evaluations = saved.evaluations;
      this.#run.onIncident?.({ kind: 'resumed', step: saved.step });
    } else await this.#evaluate();
  }

  /** To the last step. */
  async finish(): Promise<Evaluation[]> {
    const { settings, signal, directory } = this.#run;
    const { steps, saveEvery, evaluateEvery } = settings;
    const optimizer = this.#optimizer;
    const startedAtMs = performance.now();
    const clock = { startedAtMs, firstStep: optimizer.step, throughput: new Throughput(startedAtMs) };
    while (optimizer.step < steps) {
      if (signal?.aborted) throw await this.#cancelled();
      if (!(await this.#step(clock))) continue;
      const isLast = optimizer.step === steps;
      if (isLast || isDue(evaluateEvery, optimizer.step)) await this.#evaluate();
      if (directory && !isLast && isDue(saveEvery, optimizer.step)) await this.#save(directory);
    }
    this.#average?.swap();
    return this.#evaluations;
  }

  async dispose(): Promise<void> {
    this.#optimizer.dispose();
    this.#average?.dispose();
    await this.#compute?.dispose();
  }

  /** @returns false where the run went back instead */
  async #step(clock: { startedAtMs: number; firstStep: number; throughput: Throughput }): Promise<boolean> {
    const { settings, checkpoint, onStep, onIncident } = this.#run;
    const optimizer = this.#optimizer;
    const { steps, seed } = settings;
    const lr = learningRate(settings, optimizer.step) * this.#guard.rateFactor;
    const works = this.#lanes.flatMap(({ B, T, batches, blockTokens }, lane) =>
      Array.from({ length: batches }, (): Work => ({ batch: pack(this.#readers[lane] as Reader, B, T), blockTokens })),
    );
    const gradients = await (this.#compute as Compute).gradients(works, `${seed}/step/${optimizer.step}`);
    try {
      const { found, metrics, counts } = gradients;
      const gradientNorm = await normOf(found);
      const loss = Object.values(metrics).every(Number.isFinite) ? (metrics.loss as number) : Number.NaN;
      const verdict = this.#guard.judge(loss, gradientNorm);
      if (verdict.kind === 'roll_back') {
        await this.#rollBack(verdict.why, metrics);
        return false;
      }
      if (verdict.kind === 'skip') {
        optimizer.step++;
        clock.throughput.add(this.#stepTokens, performance.now());
        onIncident?.({ kind: 'skipped_step', step: optimizer.step, why: verdict.why });
        return true;
      }
      update(optimizer, found, lr, gradientNorm);
      this.#average?.update();
      if (counts.length > 0) updateExpertBias(checkpoint, counts);
      const done = Math.max(1, optimizer.step - clock.firstStep);
      const nowMs = performance.now();
      const elapsedMs = nowMs - clock.startedAtMs;
      await onStep?.({
        step: optimizer.step,
        steps,
        tokens: optimizer.step * this.#stepTokens,
        metrics,
        learningRate: lr,
        gradientNorm,
        tokensPerSecond: clock.throughput.add(this.#stepTokens, nowMs),
        etaMs: (elapsedMs / done) * (steps - optimizer.step),
        counts,
      });
      return true;
    } finally {
      disposeGradients(gradients);
    }
  }

  /** Back to the last save, on with other data and a lower learning rate. */
  async #rollBack(why: string, metrics: Record<string, number>): Promise<void> {
    const { directory, onIncident } = this.#run;
    const { step } = this.#optimizer;
    const before = this.#guard.isExhausted || !directory ? null : restoreResume(directory, this.#run, this.#state);
    if (!before || !directory) {
      const times = this.#guard.state.rollbacks;
      throw new QuasarError(
        'train.diverged',
        `training diverged at step ${step}: ${why}${times > 0 ? `; it had gone back ${times} times before` : ''}`,
        { hint: 'lower --learning-rate or start from another checkpoint', data: { step, metrics } },
      );
    }
    this.#optimizer.step = before.step;
    this.#guard.rolledBack({ ...before.guard, rollbacks: this.#guard.state.rollbacks });
    this.#evaluations = before.evaluations;
    onIncident?.({ kind: 'rolled_back', step, toStep: before.step, why });
    // From here on data and learning rate are others: a crash must not lead back to before.
    await this.#save(directory);
  }

  async #evaluate(): Promise<void> {
    const { heldOut, settings, onEvaluation } = this.#run;
    if (!heldOut) return;
    this.#average?.swap();
    const evaluation: Evaluation = { step: this.#optimizer.step, heldOut: {} };
    try {
      evaluation.heldOut = await heldOutLosses(this.#run, heldOut, settings);
    } finally {
      this.#average?.swap();
    }
    this.#evaluations.push(evaluation);
    onEvaluation?.(evaluation);
  }

  /** A failed save is reported, and the run goes on: the point before stays, and the next save may succeed. */
  async #save(directory: string): Promise<Error | null> {
    const { onIncident } = this.#run;
    const { step } = this.#optimizer;
    const startedAtMs = performance.now();
    try {
      const bytes = await saveResume(directory, this.#run, this.#state, {
        step,
        positions: this.#readers.map(({ position }) => position),
        guard: this.#guard.state,
        evaluations: this.#evaluations,
      });
      onIncident?.({ kind: 'saved', step, bytes, ms: performance.now() - startedAtMs });
      return null;
    } catch (error) {
      onIncident?.({ kind: 'save_failed', step, error: error as Error });
      return error as Error;
    }
  }

  async #cancelled(): Promise<QuasarError> {
    const { directory, settings } = this.#run;
    const { step } = this.#optimizer;
    const failure = directory ? await this.#save(directory) : null;
    if (failure) {
      return new QuasarError(
        'train.save_failed',
        `training stopped at step ${step}; saving failed: ${failure.message}`,
        {
          hint: 'make room on the disk; the same command goes on from the save before',
          cause: failure,
        },
      );
    }
    return new QuasarError('train.cancelled', `training stopped at step ${step} of ${settings.steps}`, {
      ...(directory ? { hint: 'run the same command again to go on' } : {}),
      retry: 'later',
    });
  }

  #openReaders(positions: readonly Position[] = []): void {
    this.#readers = this.#lanes.map(({ source }, i) => source.open(`${this.#run.settings.seed}/${i}`, positions[i]));
  }
}

function isDue(every: number, step: number): boolean {
  return every > 0 && step % every === 0;
}

async function normOf(found: StepGradients['found']): Promise<number> {
  const squared = squaredNorm(found);
  if (!squared) return 0;
  try {
    return Math.sqrt(await squared.item());
  } finally {
    squared.dispose();
  }
}

function update(optimizer: Optimizer, found: readonly Gradient[], lr: number, gradientNorm: number): void {
  const [first] = optimizer.parameters;
  if (first) inBursts(first.device, () => optimizer.update(found, lr, gradientNorm));
}

/**
 * One step without guard, schedule or reports: gradient of the given batches, clipping, optimizer, expert bias. For
 * measurements.
 */
export async function trainStep(
  trainee: Trainee,
  optimizer: Optimizer,
  works: readonly Work[],
  lr: number,
): Promise<{ metrics: Record<string, number>; gradientNorm: number }> {
  const gradients = await localCompute(trainee, optimizer.parameters).gradients(works, `step/${optimizer.step}`);
  try {
    const gradientNorm = await normOf(gradients.found);
    update(optimizer, gradients.found, lr, gradientNorm);
    if (gradients.counts.length > 0) updateExpertBias(trainee.checkpoint, gradients.counts);
    return { metrics: gradients.metrics, gradientNorm };
  } finally {
    disposeGradients(gradients);
  }
}
