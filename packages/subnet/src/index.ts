/** @file Floor 5: the contest: pure rules, prechecks, the validator daemon, the miner's ladder. Knows no HTTP and no pages. */
export { type Announcement, Announcements } from './announce/announcement.ts';
export { type AnnouncerOptions, runAnnouncer } from './announce/announcer.ts';
export { signedBytes, type Webhook, type WebhookForm, webhookForm } from './announce/webhook.ts';
export { type Fingerprint, type FingerprintProbes, fingerprint, fingerprintProbes } from './copy/fingerprint.ts';
export { type CopyFinding, findOriginal, findSameRevision } from './copy/original.ts';
export type { ContentRecord } from './copy/record.ts';
export { readSecret } from './copy/secret.ts';
export { Cage, type CageOptions } from './evaluation/cage/cage.ts';
export { type CageIsolation, cageIsolation } from './evaluation/cage/launch.ts';
export { Compute, type UnitRunner } from './evaluation/compute.ts';
export { type EvaluationOptions, isolationText } from './evaluation/evaluation.ts';
export { type EvaluatorOptions, runEvaluator, type UnitReport } from './evaluation/evaluator.ts';
export { ModelStore, type ModelStoreOptions } from './evaluation/model-store.ts';
export type * from './events.ts';
export type { Difference } from './evidence/differences.ts';
export { EVIDENCE_FOLDER, EvidenceFolder } from './evidence/evidence-folder.ts';
export { type DuelExport, type ExportOptions, exportDuel } from './evidence/export.ts';
export { PastModels, type PastModelsOptions } from './evidence/past-models.ts';
export { type Compared, type Replay, type ReplayCheck, type ReplayOptions, replayDuel } from './evidence/replay.ts';
export { type CheckModelOptions, type CheckReport, checkModel } from './miner/check-model.ts';
export { type DuelPower, type DuelPowerOptions, duelPower, kingsDuel, type MeasuredDuel } from './miner/duel-power.ts';
export { type PreviewDuel, type PreviewDuelOptions, previewDuel } from './miner/preview-duel.ts';
export { type ScoreAxesOptions, type Scored, type ScoredAxes, scoreAxes } from './miner/score-axes.ts';
export { type SubmitModelOptions, type SubmitReport, type SubmitStep, submitModel } from './miner/submit-model.ts';
export { createModelLock, type ModelLock } from './precheck/model-lock.ts';
export { type PrecheckInput, type PrecheckOutcome, precheck } from './precheck/precheck.ts';
export { directorySource, hubSource, manifestSha256, type SubmissionSource } from './precheck/source.ts';
export { isModelFile } from './precheck/weight-layout.ts';
export { Contest, type RoundState, rebuildContest, type SubmissionState } from './projection.ts';
export { type AxesConfig, type AxisConfig, axisQuestions } from './rules/axes.ts';
export {
  type CandidateRules,
  type FrozenCandidates,
  freezeCandidates,
  type PastEvaluation,
  type WaitingReason,
} from './rules/candidates.ts';
export { type CommitmentPayload, formatCommitment, MAX_COMMITMENT_BYTES, parseCommitment } from './rules/commitment.ts';
export { configHash, LOCAL, parseSubnetConfig, type SubnetConfig, UPSTREAM } from './rules/config.ts';
export {
  type CrownDecision,
  type CrownGate,
  crownGate,
  type DuelEntry,
  decideCrown,
  tieCluster,
} from './rules/crown.ts';
export { type ChainKing, chainKing } from './rules/king.ts';
export { checkKlLimits, type KlLimits } from './rules/kl-limits.ts';
export { type ParetoRules, type ParetoView, paretoView } from './rules/pareto.ts';
export {
  firstEligibleRound,
  type NextRound,
  nextRound,
  type RoundPlan,
  type RoundTiming,
  roundAt,
  roundPlan,
} from './rules/round.ts';
export { isKingsTurn, type RevalidationRules } from './rules/standing.ts';
export {
  BASE_ID,
  BASE_UID,
  type Entrant,
  type Submission,
  type SubmissionStatus,
  submissionId,
  TEACHER_ID,
  TEACHER_UID,
} from './rules/submission.ts';
export { buildWeights, type UidWeight, type WeightInput, type WeightRules } from './rules/weights.ts';
export { type ContestSummary, summarize } from './summary.ts';
export type { LogLine, ValidatorOptions } from './validator/context.ts';
export { type Evidence, judgeRound } from './validator/judge-round.ts';
export { runValidator } from './validator/validator.ts';
