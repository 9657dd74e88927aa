/** @file What all events of a run amount to, in bounded memory: histories for plots, the last of each kind, totals. */
import type { EventReader } from './event-file.ts';
import type { EventOf, RouterLoad, RunEvent, RunEventType } from './events.ts';
import { Series, Thinned } from './series.ts';

const MAX_EVALUATIONS = 256;
const MAX_MARKS = 128;
const MAX_ROUTER_SAMPLES = 48;

/** Something that happened at a step beside training. */
export type Mark = EventOf<'saved' | 'save_failed' | 'skipped_step' | 'rolled_back' | 'interrupted'>;
const MARKS: ReadonlySet<RunEventType> = new Set<Mark['type']>([
  'saved',
  'save_failed',
  'skipped_step',
  'rolled_back',
  'interrupted',
]);

export type RunState = 'running' | 'done' | 'interrupted' | 'failed' | 'killed';

/** How a run ended, or null while it goes on (or was killed). */
export type RunEnd = EventOf<'finished' | 'interrupted' | 'failed'> | null;

export class RunSummary {
  /** Of the newest part: a run has one for every time that it was started. */
  started: EventOf<'started'> | null = null;
  firstStartedAt: string | null = null;
  step: EventOf<'step'> | null = null;
  end: RunEnd = null;
  /** By name, in the order of the first step. */
  readonly metrics = new Map<string, Series>();
  readonly learningRate = new Series();
  readonly gradientNorm = new Series();
  readonly tokensPerSecond = new Series();
  readonly peakShare = new Series();
  readonly rssBytes = new Series();
  readonly deviceBytes = new Series();
  readonly evaluations = new Thinned<EventOf<'evaluation'>>(MAX_EVALUATIONS);
  /** Held-out metrics as `set metric`. */
  readonly heldOut = new Map<string, Series>();
  readonly router = new Thinned<RouterLoad & { step: number }>(MAX_ROUTER_SAMPLES);
  /** Apart by type, so that many saves hide no rollback. */
  readonly marks = new Map<Mark['type'], Thinned<Mark>>();
  readonly skippedData = new Map<string, number>();
  lostEvents = 0;
  brokenLines = 0;
  #partMs = 0;
  #earlierMs = 0;

  /** Reads all of `reader`. */
  static of(reader: EventReader): RunSummary {
    const summary = new RunSummary();
    for (const event of reader.events) summary.add(event, reader.every);
    summary.brokenLines = reader.brokenLines;
    return summary;
  }

  /** Time under training, without the pauses between its parts. */
  get elapsedMs(): number {
    return this.#earlierMs + this.#partMs;
  }

  marksOf(type: Mark['type']): Mark[] {
    return this.marks.get(type)?.items ?? [];
  }

  /** @param every steps that one which is told may stand for: itself and those before it */
  add(event: RunEvent, every = 1): void {
    if (event.type === 'started') {
      this.#earlierMs += this.#partMs;
      this.#partMs = 0;
      this.firstStartedAt ??= event.at;
      this.started = event;
      this.end = null;
      return;
    }
    if (this.started) this.#partMs = Math.max(0, Date.parse(event.at) - Date.parse(this.started.at));
    if (event.type === 'step') this.#addStep(event, every);
    else if (event.type === 'evaluation') this.#addEvaluation(event);
    else if (event.type === 'skipped_data')
      this.skippedData.set(event.code, (this.skippedData.get(event.code) ?? 0) + event.count);
    else if (event.type === 'lost_events') this.lostEvents += event.count;
    else if (MARKS.has(event.type))
      entry(this.marks, event.type as Mark['type'], () => new Thinned(MAX_MARKS)).add(event as Mark);
    if (event.type === 'finished' || event.type === 'interrupted' || event.type === 'failed') this.end = event;
  }

  #addStep(event: EventOf<'step'>, every: number): void {
    const { step, tokens } = event;
    const count = Math.max(1, Math.min(every, step - (this.step?.step ?? step)));
    this.step = event;
    for (const [name, value] of Object.entries(event.metrics))
      entry(this.metrics, name, () => new Series()).add(step, tokens, value, count);
    this.learningRate.add(step, tokens, event.learningRate, count);
    this.gradientNorm.add(step, tokens, event.gradientNorm, count);
    this.tokensPerSecond.add(step, tokens, event.tokensPerSecond, count);
    if (event.peakShare !== null) this.peakShare.add(step, tokens, event.peakShare, count);
    this.rssBytes.add(step, tokens, event.rssBytes, count);
    if (event.deviceBytes !== undefined) this.deviceBytes.add(step, tokens, event.deviceBytes, count);
    if (event.router) this.router.add({ step, ...event.router });
  }

  #addEvaluation(event: EventOf<'evaluation'>): void {
    this.evaluations.add(event);
    const tokens = this.step?.tokens ?? 0;
    for (const [set, metrics] of Object.entries(event.heldOut))
      for (const [metric, value] of Object.entries(metrics))
        entry(this.heldOut, `${set} ${metric}`, () => new Series()).add(event.step, tokens, value);
  }
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}

/** The metric that stands for a run in tables: divergence from a teacher, else cross-entropy, else the whole loss. */
export function mainMetric(metrics: Record<string, number>): string | null {
  const names = Object.keys(metrics);
  const wanted = [/(^|_)kl/, /^ce$/, /^loss$/, /./];
  return wanted.map((pattern) => names.find((name) => pattern.test(name))).find((name) => name !== undefined) ?? null;
}
