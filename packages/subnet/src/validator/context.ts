/** @file What the parts of a validator share: its borders, its rules, and the contest as its log tells it. */
import { join } from 'node:path';
import { QuasarError, sha256Hex } from '@quasar/base';
import type { Chain, Wallet } from '@quasar/chain';
import type { HubClient } from '@quasar/hub';
import { CHECKPOINT_FILES } from '@quasar/model';
import type { Store } from '@quasar/store';
import { type Fingerprint, type FingerprintProbes, fingerprintProbes } from '../copy/fingerprint.ts';
import { readSecret } from '../copy/secret.ts';
import { RoundJobs } from '../evaluation/dispatch.ts';
import type { Evaluation, EvaluationOptions } from '../evaluation/evaluation.ts';
import { type ModelRef, UNITS_VERSION } from '../evaluation/units.ts';
import type { NewContestEvent } from '../events.ts';
import { EVIDENCE_FOLDER, EvidenceFolder } from '../evidence/evidence-folder.ts';
import { createModelLock, type ModelLock } from '../precheck/model-lock.ts';
import { fileDigest } from '../precheck/source.ts';
import { Contest } from '../projection.ts';
import { configHash, type SubnetConfig } from '../rules/config.ts';
import type { Submission } from '../rules/submission.ts';
import { throwIfStopped } from './blocks.ts';
import { HeldModels } from './held-models.ts';
import { stoppable } from './stoppable.ts';
import { WeightSetter } from './weight-setter.ts';

/** Waiting for a fingerprint, a validator does nothing else: after so long it looks after the chain and asks again. */
const PATIENCE_MS = 300_000;

export interface LogLine {
  level: 'info' | 'warn';
  message: string;
  code?: string | undefined;
}

export interface ValidatorOptions extends Omit<EvaluationOptions, 'hub' | 'waiting'> {
  chain: Chain;
  hub: HubClient;
  /** The contest log. One validator per store. */
  store: Store;
  /** A registered hotkey with a validator permit. */
  wallet: Wallet;
  config: SubnetConfig;
  /** Checkpoint of the base student: the lock of every submission, and the incumbent before the first king. */
  baseDirectory: string;
  teacherDirectory: string;
  /** For what may be lost: the queue of units. For what may not: the evidence of verdicts, and the sampling secret. */
  workDirectory: string;
  /** For whoever asks after its health: the cache that `hub` keeps. */
  cache?: { name: string; quotaBytes: number } | undefined;
  signal: AbortSignal;
  log?: ((line: LogLine) => void) | undefined;
}

export class Context {
  readonly options: ValidatorOptions;
  readonly contest = new Contest();
  readonly lock: ModelLock;
  readonly evaluation: Evaluation;
  readonly evidence: EvidenceFolder;
  readonly teacherSha256: string;
  readonly secret: string;
  /** Names the secret without telling it. */
  readonly sampleKey: string;
  readonly configHash: string;
  readonly weights = new WeightSetter(this);
  readonly models: HeldModels;
  /** Last head seen. */
  atBlock = 0;
  /** The last round in which the hub gave a listing. */
  hubAnsweredIn = -1;
  readonly #probes: FingerprintProbes;

  private constructor(options: ValidatorOptions, evaluation: Evaluation, lock: ModelLock, teacherSha256: string) {
    const { chain, hub, signal } = options;
    this.options = { ...options, chain: stoppable(chain, signal), hub: stoppable(hub, signal) };
    this.models = new HeldModels(hub);
    this.evaluation = evaluation;
    this.evidence = new EvidenceFolder(join(options.workDirectory, EVIDENCE_FOLDER));
    this.lock = lock;
    this.teacherSha256 = teacherSha256;
    this.secret = readSecret(join(options.workDirectory, 'sampling-secret'));
    this.#probes = fingerprintProbes(this.secret, lock.config.vocab_size);
    this.sampleKey = sha256Hex(`sample key/${this.secret}`).slice(0, 16);
    this.configHash = configHash(options.config);
  }

  /** @throws QuasarError `subnet.bad_base`, `subnet.bad_teacher` */
  static async open(options: ValidatorOptions, evaluation: Evaluation): Promise<Context> {
    const { baseDirectory, teacherDirectory, config } = options;
    const lock = await createModelLock(baseDirectory, config.limits, config.tolerated);
    await checkTeacher(teacherDirectory, lock);
    const teacher = await fileDigest(join(teacherDirectory, CHECKPOINT_FILES.weights));
    const context = new Context(options, evaluation, lock, teacher.sha256);
    context.catchUp();
    return context;
  }

  /** The base student as an entrant. */
  get base(): Submission {
    return this.lock.baseSubmission;
  }

  get config(): SubnetConfig {
    return this.options.config;
  }

  get signal(): AbortSignal {
    return this.options.signal;
  }

  log(message: string, level: LogLine['level'] = 'info', code?: string): void {
    this.options.log?.({ level, message, code });
  }

  /** Write events in one transaction and fold them in. An event whose key is known changes nothing. */
  append(...events: NewContestEvent[]): void {
    this.options.store.appendAll(
      events.map(({ type, data, key }) => (key === undefined ? { type, data } : { type, data, key })),
    );
    this.catchUp();
  }

  /** What a checkpoint computes at this validator's probes; computed by an evaluator. @throws UnitFailure; `evaluation.no_answer` */
  async fingerprint(model: ModelRef): Promise<Fingerprint> {
    const { evaluation, options, signal, sampleKey } = this;
    const prefix = evaluation.roundPrefix(options.wallet.hotkey, 'fingerprints', sampleKey);
    const untilMs = performance.now() + PATIENCE_MS;
    const check = () => {
      throwIfStopped(signal);
      evaluation.check();
      if (performance.now() > untilMs) throw noAnswer();
    };
    const jobs = new RoundJobs(evaluation.queue, prefix, { signal, check });
    const name = model.from === 'hub' ? `${model.repo}@${model.revision}` : model.from;
    const unit = { kind: 'fingerprint', version: UNITS_VERSION, model, probes: this.#probes } as const;
    const [found] = await jobs.results<'fingerprint'>(name, [unit], [0]);
    return found!;
  }

  /** Fold in what the log holds: after a write whose end was lost the memory is behind it. */
  catchUp(): void {
    for (const event of this.options.store.events({ afterSeq: this.contest.lastSeq })) this.contest.apply(event);
  }
}

function noAnswer(): QuasarError {
  return new QuasarError('evaluation.no_answer', `no evaluator gave a fingerprint within ${PATIENCE_MS / 1000} s`, {
    hint: 'See that an evaluator is at work on the queue of this validator.',
    retry: 'later',
  });
}

/** The teacher may be larger than a student, but it must speak the same tokens. */
async function checkTeacher(directory: string, lock: ModelLock): Promise<void> {
  const { sha256 } = await fileDigest(join(directory, CHECKPOINT_FILES.tokenizer));
  if (sha256 === lock.tokenizerSha256) return;
  throw new QuasarError('subnet.bad_teacher', `teacher ${directory}: tokenizer.json differs from the base model's`, {
    hint: 'A KL between two vocabularies means nothing. Use a teacher with the tokenizer of the base model.',
  });
}
