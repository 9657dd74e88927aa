/** @file Floor 4: data, objectives, optimizer, stages. Knows nothing of the contest. */

export { type BitsPerByte, bitsPerByte, type ScoredText, scoredWindows } from './bits-per-byte.ts';
export { type Compute, localCompute, type StepGradients, type Trainee, type Work } from './compute.ts';
export { evenlyWeighted, withoutTeacher } from './data/adapted.ts';
export { type Batch, type Document, pack } from './data/batch.ts';
export type { DocumentTable } from './data/corpus.ts';
export { DATA_EXTENSIONS } from './data/files.ts';
export {
  type DataPart,
  type DataProgress,
  type HeldOutSource,
  type OpenDataOptions,
  type OpenedData,
  openData,
} from './data/open.ts';
export { type RecallOptions, recallDocument, recallSource } from './data/recall.ts';
export { checkData, type SampleOptions, sampleTexts } from './data/sample.ts';
export {
  indexedSource,
  mixture,
  type Position,
  type Reader,
  type Source,
  textSource,
  worldSource,
} from './data/source.ts';
export { type DataSpec, formatSpec, parseData } from './data/spec.ts';
export { listedPrompts, textPrompts, worldPrompts } from './data/trace-prompts.ts';
export { traceSource } from './data/trace-source.ts';
export { describeSkipped, type SkippedData } from './data/usable.ts';
export { GUARD_DEFAULTS, type GuardSettings } from './guard.ts';
export { type DistilOptions, distilObjective, type Terms } from './objectives/distil.ts';
export { DISTANCES, type Distance, type DistanceOptions } from './objectives/divergences.ts';
export type { HiddenSpec } from './objectives/hidden-states.ts';
export { mimicObjective } from './objectives/mimic.ts';
export {
  crossEntropyObjective,
  type Objective,
  type ObjectiveInput,
  type ObjectiveResult,
} from './objectives/objective.ts';
export type { OnPolicySpec } from './objectives/on-policy.ts';
export { type DistilSpec, type ObjectiveSpec, openObjective } from './objectives/spec.ts';
export type { Teacher } from './objectives/teacher.ts';
export { ADAMW_DEFAULTS, AdamW, type AdamWSettings } from './optim/adamw.ts';
export { Muon } from './optim/muon.ts';
export type { Optimizer } from './optim/optimizer.ts';
export { learningRate, type Schedule, type ScheduleKind } from './optim/schedule.ts';
export { type WorkerOptions, workerCompute } from './parallel/workers.ts';
export { type RecallAccuracy, recallAccuracy } from './recall-accuracy.ts';
export { type Recipe, recipe, transformerLike } from './recipe.ts';
export { clearResume } from './resume.ts';
export { type ComparedRun, type Comparison, compareRuns } from './runs/compare.ts';
export { forwardFlopsPerToken, peakGflops, predictMs, trainingFlopsPerToken } from './runs/costs.ts';
export { type EventReader, type LatestEvents, latestEvents, readEvents } from './runs/event-file.ts';
export type { EventOf, NewRunEvent, RouterLoad, RunEvent } from './runs/events.ts';
export {
  findRun,
  type KnownRun,
  knownRuns,
  type RunRow,
  registerRun,
  runRow,
  runState,
  scanRuns,
} from './runs/registry.ts';
export { comparePage } from './runs/report/compare-page.ts';
export { reportPage } from './runs/report/page.ts';
export { routerLoad } from './runs/router-load.ts';
export { type FlagValues, hostOf, RunFolder, type RunRecord } from './runs/run-folder.ts';
export { type NewRun, RunLog } from './runs/run-log.ts';
export { mainMetric, type RunEnd, type RunState, RunSummary } from './runs/run-summary.ts';
export { differingSettings, type SettingValue, settingText } from './runs/settings.ts';
export { corpusSources, type Sources, type StageData } from './stages/corpus.ts';
export { digestOfWeights } from './stages/digest.ts';
export { DISTIL_SETTINGS, type DistilStageOptions, distil } from './stages/distil.ts';
export { type DropeOptions, type DropeResult, drope } from './stages/drope.ts';
export { type ExtendOptions, extend, type LongResult } from './stages/extend.ts';
export { type GraftResult, type GraftStageOptions, graft } from './stages/graft.ts';
export type { LongOptions } from './stages/long-rows.ts';
export { type PretrainOptions, pretrain } from './stages/pretrain.ts';
export {
  type SpeedrunModel,
  type SpeedrunOptions,
  type SpeedrunPlan,
  type SpeedrunResult,
  type SpeedrunRow,
  type SpeedrunSetup,
  setUpSpeedrun,
  speedrun,
} from './stages/speedrun.ts';
export { runStage, type Stage, type StageOptions, type StageResult, settingsOf } from './stages/stage.ts';
export {
  type Evaluation,
  type Incident,
  type Lane,
  openOptimizer,
  type StepReport,
  TRAIN_DEFAULTS,
  type TrainRun,
  type TrainSettings,
  train,
  trainStep,
} from './trainer.ts';
