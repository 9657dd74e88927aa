/**
 * @file The events of the contest log: the only memory of a validator. Everything else is rebuilt from them.
 *
 * Each is written once under a key, most of them together with others in one transaction, so that a process may be
 * killed between any two and go on where it was. `round` and `atBlock` say where in the contest it happened.
 */
import type { Issue } from '@quasar/base';
import type { AxisValue, ScoredAxis, StopReason, TeacherReference } from '@quasar/evals';
import type { Fingerprint } from './copy/fingerprint.ts';
import type { WeightTraces } from './copy/record.ts';
import type { WaitingReason } from './rules/candidates.ts';
import type { CrownGate } from './rules/crown.ts';
import type { ParetoView } from './rules/pareto.ts';
import type { Entrant } from './rules/submission.ts';

interface At {
  round: number;
  /** Chain head when it was written. */
  atBlock: number;
}

/** A process began to work on this log. */
export interface ValidatorStarted extends At {
  /** Of Quasar. */
  version: string;
  node: string;
  configHash: string;
  rulesVersion: string;
  /** ss58 address. */
  hotkey: string;
  /** How evaluations are kept apart: `none` in this process, otherwise the level that could be had. */
  isolation: string;
  /** Where it keeps what it downloads, among the caches of its home. Absent in older logs. */
  cache?: { name: string; quotaBytes: number } | undefined;
}

export interface RoundStarted extends At {
  startBlock: number;
  cutoffBlock: number;
  seedBlock: number;
  seedHash: string;
  activationBlock: number;
  /** Ids, first revealed first. */
  candidates: string[];
  waiting: { id: string; reason: WaitingReason }[];
  /** Id of the king's submission, or `base`. */
  incumbent: string;
  /** The rules this round is judged by. */
  configHash: string;
}

export interface SubmissionSeen extends At, Entrant {
  id: string;
  hotkey: string;
  revealedAtBlock: number;
  manifestSha256?: string | undefined;
}

/** Its files could not be read in several rounds, while the hub answered for others: it is asked for less often. */
export interface SubmissionStale extends At, Entrant {
  id: string;
  /** In a row. */
  failedVisits: number;
  /** When it is asked for again. */
  nextRound: number;
  issues: Issue[];
}

export type RefusedStatus = 'COPY' | 'DEFERRED' | 'REMOVED' | 'INVALID' | 'EVAL_ERROR';

export interface SubmissionRejected extends At, Entrant {
  id: string;
  status: RefusedStatus;
  issues: Issue[];
  original?: (Entrant & { revealedAtBlock: number | null }) | undefined;
}

/** What copies of it will be recognised by. Written for every submission whose weights were read. */
export interface SubmissionContent extends At, WeightTraces {
  id: string;
  manifestSha256: string;
  /** Names the secret that chose what was looked at; what other secrets saw cannot be compared, but for `tensors`. */
  sampleKey: string;
  fingerprint?: Fingerprint | undefined;
  copyOf?: string | undefined;
}

export type Phase = 'traces' | 'kl' | 'axes' | 'stopped';

export interface EvaluationProgress extends At {
  id: string;
  uid: number;
  repo: string;
  phase: Phase;
  done: number;
  total: number;
  meanDelta?: number | undefined;
  kingKl?: number | undefined;
  challengerKl?: number | undefined;
}

/** A finished part of an evaluation, kept so that a restart does not pay for it again. */
export type EvaluationMeasured = At & { id: string } & (
    | {
        part: 'kl';
        perPrompt: number[];
        /** Digests of what the numbers were made from and of the KL per token, unit by unit; in the queue until the round ends. */
        blobs?: { traces: string; perToken: string }[] | undefined;
      }
    | {
        part: 'axes';
        axes: Record<string, AxisValue>;
        /** Mean on-policy reverse KL, nats; null for the teacher and for a model that says nothing. */
        rkl: number | null;
        rklPrompts: number;
        /** What others are measured against; only on the teacher's own event. */
        reference?: TeacherReference | undefined;
      }
  );

export interface EvaluationScored extends At, Entrant {
  id: string;
  kl: { mean: number; perPrompt: number[] };
  axes: Record<string, ScoredAxis>;
  weighted: number;
  worst: number;
  worstAxis: string | null;
  quality: number;
}

export interface DuelJudged extends At, Entrant {
  id: string;
  king: Entrant;
  /** Prompts that the verdict rests on. */
  n: number;
  /** Nats per token; positive when the challenger is closer to the teacher. */
  meanDelta: number;
  se: number;
  /** Bounded by 1e9: JSON has no infinity. */
  t: number;
  p: number;
  lcb: number;
  /** 95 % percentile bootstrap interval with a fixed seed: evidence, not part of the verdict. */
  bootstrap: { low: number; high: number; resamples: number; seed: string };
  /** What ended the duel, and what the sequential test saw there: see `SequentialVerdict`. */
  sequential: { reason: StopReason; prompts: number; logEvidence: number; winProbability: number };
  kingKl: number;
  challengerKl: number;
  win: boolean;
  crownGate: CrownGate;
  /** A view, not part of the verdict; null when the axes were not measured because the duel was lost early. */
  pareto: ParetoView | null;
}

export interface RoundJudged extends At {
  crowned: string | null;
  /** Winners tied with the crowned one: they meet the new king next round. */
  deferred: string[];
  configHash: string;
}

export interface KingCrowned extends At, Entrant {
  id: string;
  hotkey: string;
  crownedAtBlock: number;
  reign: number;
  previous: Entrant | null;
  /** `duel`: this validator's verdict; `chain`: the stake of others already names it. */
  source: 'duel' | 'chain';
}

export interface WeightsSet extends At {
  weights: { uid: number; weight: number }[];
  setAtBlock: number;
}

/** The king measured again in a round without challengers; its KL per prompt and axes are in `evaluation.scored`. */
export interface KingRevalidated extends At, Entrant {
  id: string;
  prompts: number;
  /** Means, nats. */
  kl: number;
  baseKl: number;
  quality: number;
  /** Why it loses the crown at the activation block; null: it stands. */
  issue: Issue | null;
}

export type RoundOutcome = 'crowned' | 'king_stays' | 'king_removed' | 'no_challengers' | 'no_verdict';

export interface RoundFinished extends At {
  king: Entrant | null;
  outcome: RoundOutcome;
}

export interface EvaluationFailed extends At {
  id: string;
  uid: number;
  error: { code: string; message: string; hint?: string | undefined };
  attempt: number;
  /** Hub, disk or store failed, not the submission: it keeps its place and comes again in the next round. */
  transient?: boolean | undefined;
  /** Its files could not be read while the hub answered for others: a failed visit, as `stale.ts` counts them. */
  unread?: boolean | undefined;
  /** No further try: the submission is EVAL_ERROR. */
  final: boolean;
}

export interface ContestEvents {
  'validator.started': ValidatorStarted;
  'round.started': RoundStarted;
  'submission.seen': SubmissionSeen;
  'submission.rejected': SubmissionRejected;
  'submission.stale': SubmissionStale;
  'submission.content': SubmissionContent;
  'evaluation.progress': EvaluationProgress;
  'evaluation.measured': EvaluationMeasured;
  'evaluation.scored': EvaluationScored;
  'evaluation.failed': EvaluationFailed;
  'duel.judged': DuelJudged;
  'round.judged': RoundJudged;
  'king.crowned': KingCrowned;
  'king.revalidated': KingRevalidated;
  'weights.set': WeightsSet;
  'round.finished': RoundFinished;
}

export type ContestEventType = keyof ContestEvents;

export type NewContestEvent = {
  [T in ContestEventType]: { type: T; data: ContestEvents[T]; key?: string | undefined };
}[ContestEventType];
