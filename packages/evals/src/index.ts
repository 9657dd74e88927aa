/** @file Floor 4: how good a model is: divergence from the teacher, the paired test, the axes and their composite. */

export { absoluteAxes, type TeacherReference, teacherReference } from './axes/absolute.ts';
export {
  type Answer,
  itemPrompts,
  judgeReplies,
  REPLY_BATCH,
  type Reply,
  replyTo,
} from './axes/answers.ts';
export { capability } from './axes/capability.ts';
export { AXES, AXIS_NAMES, type AxisEntry, type AxisName, isAxisName, type Rung } from './axes/catalogue.ts';
export {
  CONVERSATION_BATCH,
  CONVERSATION_WEIGHTS,
  type Conversation,
  type ConversationReference,
  type ConversationText,
  conversation,
  conversationMeasures,
  conversationReference,
  conversationTexts,
  isConversation,
  textLogprobs,
} from './axes/conversation.ts';
export { degeneracy, diversity, hasLoop } from './axes/degeneracy.ts';
export { length, meanTokens } from './axes/length.ts';
export { type OnPolicyOptions, onPolicyRkl, ROLLOUT_BATCH, rolloutRkl } from './axes/on-policy-rkl.ts';
export { byQuestion, passFraction } from './axes/pass-fraction.ts';
export { reasoningDensity } from './axes/reasoning-density.ts';
export { type Divergences, relativeAxes } from './axes/relative.ts';
export { selfConsistency } from './axes/self-consistency.ts';
export {
  type AxisSpec,
  type AxisValue,
  type BrokenAxisRules,
  brokenAxes,
  type Composite,
  composeAxes,
  type ScoredAxis,
} from './composite.ts';
export {
  conditionalKl,
  fullKl,
  logSumExp,
  MIN_TAIL_MASS,
  mean,
  type TailBucketKl,
  type TeacherPosition,
  tailBucketKl,
  teacherPosition,
  topIds,
} from './divergence.ts';
export type { JudgeQuestion } from './judge/judge-prompt.ts';
export {
  type JudgeProbe,
  type JudgeRound,
  LlmJudge,
  type LlmJudgeOptions,
} from './judge/llm-judge.ts';
export { normalTwoSided, normalUpperTail, normalUpperTailInverse } from './normal.ts';
export {
  areTied,
  type BootstrapInterval,
  bootstrapInterval,
  type PairedRules,
  type PairedTest,
  pairedDeltas,
  pairedTest,
  testDeltas,
  UPSTREAM_PAIRED_RULES,
} from './paired.ts';
export {
  detectableEffect,
  type PowerQuestion,
  power,
  promptsNeeded,
  resampled,
  type SimulatedDuels,
  simulateDuels,
} from './power.ts';
export {
  type AxisItem,
  type AxisQuestions,
  axisItems,
  type DuelPromptOptions,
  duelPrompts,
  practiceItems,
  type WordingRules,
} from './prompts.ts';
export { SCORE_BATCH, scoreTraces, type TraceScores } from './score-traces.ts';
export {
  criticalZ,
  type EarlyStopping,
  type SequentialRules,
  type SequentialVerdict,
  type StopReason,
  sequentialVerdict,
} from './sequential.ts';
