/** @file Turns what the trainer reports into the events of a run, with what only the machine knows: peak, memory, forecast. */
import { readFileSync } from 'node:fs';
import { QuasarError } from '@quasar/base';
import { type Checkpoint, countParameters } from '@quasar/model';
import type { Device } from '@quasar/tensor';
import type { Stage, StageOptions } from '../stages/stage.ts';
import { type Evaluation, type Incident, type StepReport, TRAIN_DEFAULTS, type TrainRun } from '../trainer.ts';
import { peakGflops, predictMs, trainingFlopsPerToken } from './costs.ts';
import type { NewRunEvent } from './events.ts';
import { routerLoad } from './router-load.ts';
import { hostOf, type RunFolder } from './run-folder.ts';
import { RunLog } from './run-log.ts';

/** About so many times in a run the load of its experts is told. */
const ROUTER_REPORTS = 100;

export class RunRecorder {
  readonly #log: RunLog;
  readonly #stage: Stage;
  readonly #options: StageOptions;
  readonly #peakGflops: number;
  readonly #flopsPerToken: number;
  readonly #stepTokens: number;
  readonly #openedAtMs = performance.now();
  #hasBegun = false;
  #step = 0;

  private constructor(log: RunLog, stage: Stage, options: StageOptions, peak: number) {
    this.#log = log;
    this.#stage = stage;
    this.#options = options;
    this.#peakGflops = peak;
    const { B, T, accumulate } = stage.settings;
    const lanes = [{ B, T, batches: accumulate }, ...(stage.beside ?? [])];
    const tokensOf = (lane: { B: number; T: number; batches: number }) => lane.B * lane.T * lane.batches;
    this.#stepTokens = lanes.reduce((sum, lane) => sum + tokensOf(lane), 0);
    const { config } = stage.checkpoint;
    const flops = lanes.reduce(
      (sum, lane) => sum + tokensOf(lane) * trainingFlopsPerToken(config, lane.T, options.recompute),
      0,
    );
    this.#flopsPerToken = flops / this.#stepTokens + (stage.flopsBeside ?? 0);
  }

  /** Takes the folder of the run; nothing is told before the trainer is on its way. @throws QuasarError train.run_active */
  static async open(stage: Stage, options: StageOptions): Promise<RunRecorder> {
    const log = RunLog.open(options.directory);
    try {
      return new RunRecorder(log, stage, options, await peakGflops(deviceOf(stage.checkpoint)));
    } catch (error) {
      log.close();
      throw error;
    }
  }

  get folder(): RunFolder {
    return this.#log.folder;
  }

  /** For `train`. */
  get hooks(): Required<Pick<TrainRun, 'onStep' | 'onEvaluation' | 'onIncident'>> {
    const { onStep, onEvaluation, onIncident } = this.#options;
    return {
      onStep: async (report) => {
        await this.#onStep(report);
        await onStep?.(report);
      },
      onEvaluation: (evaluation: Evaluation) => {
        this.#tell({ type: 'evaluation', ...evaluation });
        onEvaluation?.(evaluation);
      },
      onIncident: (incident: Incident) => {
        this.#onIncident(incident);
        onIncident?.(incident);
      },
    };
  }

  finished(): void {
    this.#tell({ type: 'finished', step: this.#stage.settings.steps, ms: performance.now() - this.#openedAtMs });
  }

  /** A run that never began (a resume point that is refused) leaves the folder as it was. */
  failed(error: unknown): void {
    if (!this.#hasBegun) return;
    const code = error instanceof QuasarError ? error.code : 'train.unexpected';
    if (code === 'train.cancelled') this.#tell({ type: 'interrupted', step: this.#step });
    else this.#tell({ type: 'failed', code, message: error instanceof Error ? error.message : String(error) });
  }

  close(): void {
    this.#log.close();
  }

  async #onStep(report: StepReport): Promise<void> {
    const { counts, ...told } = report;
    const { checkpoint, settings } = this.#stage;
    const every = Math.max(1, Math.floor(settings.steps / ROUTER_REPORTS));
    const isDue = report.step % every === 0 || report.step === settings.steps;
    const router = isDue ? await routerLoad(checkpoint, counts) : undefined;
    this.#step = report.step;
    this.#tell({
      type: 'step',
      ...told,
      peakShare: (this.#flopsPerToken * report.tokensPerSecond) / (this.#peakGflops * 1e9),
      rssBytes: process.memoryUsage.rss(),
      deviceBytes: deviceOf(checkpoint).memory?.().usedBytes,
      router,
    });
  }

  #onIncident(incident: Incident): void {
    const { kind, ...fields } = incident;
    if (kind === 'resumed') {
      this.#step = incident.step;
      this.#begin(incident.step);
    } else if (incident.kind === 'save_failed') {
      const { step, error } = incident;
      const code = error instanceof QuasarError ? error.code : 'train.save_failed';
      this.#tell({ type: 'save_failed', step, code, message: error.message });
    } else this.#tell({ type: kind, ...fields } as NewRunEvent);
  }

  #tell(event: NewRunEvent): void {
    if (!this.#hasBegun && event.type !== 'started') this.#begin(null);
    const written = this.#log.append(event);
    this.#options.onEvent?.(written);
  }

  #begin(resumedAtStep: number | null): void {
    this.#hasBegun = true;
    const { name: stage, checkpoint, source, settings, from, specs } = this.#stage;
    const { config } = checkpoint;
    const { total, active } = countParameters(config);
    const tokensLeft = (settings.steps - (resumedAtStep ?? 0)) * this.#stepTokens;
    const started = this.#log.begin(
      {
        stage,
        quasar: packageVersion(),
        host: hostOf(deviceOf(checkpoint)),
        settings: { ...settings },
        defaults: { ...TRAIN_DEFAULTS },
        data: { name: source.name, fingerprint: source.fingerprint, specs },
        model: { family: config.model_type, parameters: total, digest: from },
        flags: this.#options.flags,
      },
      {
        parameters: total,
        activeParameters: active,
        flopsPerToken: this.#flopsPerToken,
        peakGflops: this.#peakGflops,
        predictedMs: predictMs(this.#flopsPerToken, tokensLeft, this.#peakGflops),
        resumedAtStep,
        workers: this.#options.workers ?? 1,
      },
    );
    this.#options.onEvent?.(started);
    for (const { path, line, code, message, count } of this.#stage.skipped ?? []) {
      this.#tell({ type: 'skipped_data', path, line, code, message, count });
    }
  }
}

function deviceOf({ parameters }: Checkpoint): Device {
  const [first] = parameters.values();
  if (!first) throw new Error('a model without parameters');
  return first.device;
}

function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return version as string;
}
